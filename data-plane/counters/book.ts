import type { CounterPer } from '../../schema/config/index.ts'
import type { SnapshotCredentialScope, SnapshotScope } from '../../schema/snapshot.ts'
import { covers } from '../policies/book.ts'
import { keptAs, type Places } from '../policies/condition.ts'
import { type ForKey, perGrant } from '../snapshot/per-grant.ts'
import type { RunningCredential, RunningGrant, RunningModel } from '../snapshot/running.ts'

/** What counts requests within a scope: a budget, a rate limit. */
export interface Attached {
  readonly scope: SnapshotScope | SnapshotCredentialScope
  /** One counter for each … inside the scope; null = one for all of it. */
  readonly per: CounterPer | null
}

/** One counter: of what, and whom it counts where there is one for each. */
export interface Counter<T> {
  readonly of: T
  readonly subject: string | null
}

/** What a key's requests are counted by: some counters the key alone settles, others wait for labels or for the place. */
export interface StandingCounters<T> {
  readonly settled: readonly Counter<T>[]
  readonly labelled: readonly OpenCounter<T>[]
  readonly placed: readonly OpenCounter<T>[]
}

interface OpenCounter<T> {
  readonly of: T
  /** The label that a request must have, with this value where it is not null. */
  readonly label: { readonly key: string; readonly value: string | null } | null
  /** The models that count; null = every one. */
  readonly models: ReadonlySet<RunningModel> | null
  /** The only one that counts; null = each, or none. */
  readonly credential: RunningCredential | null
  readonly subject: string | null | 'LABEL_VALUE' | 'MODEL'
}

/** The labels of one request, as policies compare them and as they are recorded. */
export interface CountedLabels {
  readonly exact: Readonly<Record<string, string>>
  readonly recorded: Readonly<Record<string, string>>
}

/** Where an attempt goes. */
export interface Place {
  readonly model: RunningModel
  readonly credential: RunningCredential | null
}

export type CounterBook<T> = ForKey<StandingCounters<T>>

/** Prepares what counts a tenant's requests. `entries` are made ready by the caller, each beside its declaration. */
export function counterBook<T>(entries: readonly { attached: Attached; of: T }[], places: Places): CounterBook<T> {
  const keyed = new Set(entries.flatMap(({ attached: { scope } }) => (scope.kind === 'API_KEY' ? [scope.id] : [])))
  const eachKey = entries.some(({ attached }) => attached.per === 'API_KEY')
  return perGrant(
    (apiKey) => eachKey || keyed.has(apiKey),
    (grant, apiKey) =>
      standing(
        entries
          .filter(({ attached }) => covers(attached.scope, grant, apiKey))
          .flatMap(({ attached, of }) => counterFor(attached, of, grant, apiKey, places)),
      ),
  )
}

/** False for most keys: nothing counts their requests. */
export const hasCounters = ({ settled, labelled, placed }: StandingCounters<unknown>) =>
  settled.length + labelled.length + placed.length > 0

/** The counters that are known before a place is chosen. */
export function countersOf<T>(standing: StandingCounters<T>, labels: CountedLabels): readonly Counter<T>[] {
  if (standing.labelled.length === 0) return standing.settled
  return [...standing.settled, ...standing.labelled.flatMap((open) => matching(open, labels, undefined))]
}

/** Those that only the place settles: of a provider, model, tier or credential, or one for each model. */
export function countersAt<T>(
  standing: StandingCounters<T>,
  labels: CountedLabels,
  place: Place,
): readonly Counter<T>[] {
  if (standing.placed.length === 0) return none
  return standing.placed.flatMap((open) => matching(open, labels, place))
}

const none: readonly never[] = Object.freeze([])

function matching<T>(
  { of, label, models, credential, subject }: OpenCounter<T>,
  labels: CountedLabels,
  place: Place | undefined,
): Counter<T>[] {
  if (place && models && !models.has(place.model)) return []
  if (place && credential && credential !== place.credential) return []
  const value = label && labels.exact[label.key]
  if (label && (value === undefined || (label.value !== null && label.value !== value))) return []
  if (subject === 'MODEL') return [{ of, subject: place!.model.id }]
  // Of a label with too many values the rest are recorded as one, and share a counter.
  if (subject === 'LABEL_VALUE') return [{ of, subject: labels.recorded[label!.key]! }]
  return [{ of, subject }]
}

function standing<T>(counters: readonly OpenCounter<T>[]): StandingCounters<T> {
  const isPlaced = ({ models, credential, subject }: OpenCounter<T>) =>
    models !== null || credential !== null || subject === 'MODEL'
  const isSettled = (open: OpenCounter<T>) => !isPlaced(open) && open.label === null
  return Object.freeze({
    settled: Object.freeze(counters.filter(isSettled).map(({ of, subject }) => Object.freeze({ of, subject }))),
    labelled: Object.freeze(counters.filter((open) => !isPlaced(open) && open.label !== null)),
    placed: Object.freeze(counters.filter(isPlaced)),
  })
}

/** None where there is no such member: a key without a team is in no team's counter. */
function counterFor<T>(
  { scope, per }: Attached,
  of: T,
  grant: RunningGrant,
  apiKey: string | null,
  places: Places,
): OpenCounter<T>[] {
  const subject = subjectOf(per, grant, apiKey)
  if (per !== null && subject === null) return []
  const credential = scope.kind === 'CREDENTIAL' ? places.credentials[scope.at]! : null
  return [Object.freeze({ of, label: labelOf(scope, places), models: modelsOf(scope, places), credential, subject })]
}

function subjectOf(per: CounterPer | null, grant: RunningGrant, apiKey: string | null): string | null {
  switch (per) {
    case null:
      return null
    case 'TEAM':
      return grant.team
    case 'PROJECT':
      return grant.project
    case 'PRINCIPAL':
      return grant.principal
    case 'API_KEY':
      return apiKey
    case 'MODEL':
    case 'LABEL_VALUE':
      return per
  }
}

function labelOf(scope: Attached['scope'], { labels }: Places): OpenCounter<unknown>['label'] {
  if (scope.kind !== 'LABEL') return null
  const { key, value } = scope
  // One that cannot be kept here is refused where it is read, before anything counts.
  return Object.freeze({ key, value: value === null ? null : (keptAs(labels, key, value) ?? value) })
}

function modelsOf(scope: Attached['scope'], { models, tiers, providers }: Places): ReadonlySet<RunningModel> | null {
  if (scope.kind === 'MODEL') return new Set([models[scope.at]!])
  if (scope.kind === 'TIER') return tiers[scope.at]!
  if (scope.kind === 'PROVIDER') return new Set(models.filter(({ provider }) => provider === providers[scope.at]))
  return null
}
