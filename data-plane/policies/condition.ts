import type { Codec } from '../../schema/config/index.ts'
import type { SnapshotCondition, SnapshotCredentialScope, SnapshotScope } from '../../schema/snapshot.ts'
import type { RunningLabels } from '../labels/declared.ts'
import type { RunningCredential, RunningModel, RunningProvider, RunningTarget } from '../snapshot/running.ts'
import type { RequestFacts } from './facts.ts'

/** Whether something holds; undefined where it cannot be told. */
export type Holds = boolean | undefined

/** When a policy applies, beyond whose request it is; or which requests a target is for. Null = not asked. */
export interface RunningCondition {
  /** Each as it is kept; null = any value will do. */
  readonly labels: readonly { readonly key: string; readonly value: string | null }[]
  readonly dialects: ReadonlySet<Codec> | null
  readonly streamed: boolean | null
  readonly tools: boolean | null
  readonly images: boolean | null
  readonly languages: ReadonlySet<string> | null
  readonly minInputTokens: number | null
  readonly maxInputTokens: number | null
  readonly providers: ReadonlySet<RunningProvider> | null
  /** Each set must hold the target's model: one for `models`, one for `tiers`, one for the scope. */
  readonly models: readonly ReadonlySet<RunningModel>[]
  readonly regions: ReadonlySet<string> | null
  readonly external: boolean | null
  /** Something this version does not know, or a label that cannot be compared here. */
  readonly unknown: string | null
}

/** What positions in conditions and scopes stand for. */
export interface Places {
  readonly providers: readonly RunningProvider[]
  readonly models: readonly RunningModel[]
  readonly tiers: readonly ReadonlySet<RunningModel>[]
  readonly credentials: readonly RunningCredential[]
  readonly labels: RunningLabels
}

const known: Record<keyof SnapshotCondition, true> = {
  ...{ requestLabels: true, dialect: true, streamed: true, tools: true, images: true, language: true },
  ...{ providers: true, models: true, tiers: true, regions: true, external: true },
  ...{ minInputTokens: true, maxInputTokens: true },
}

/** A pseudonym may be named in a condition in place of the person. */
const pseudonymPattern = /^~[A-Za-z0-9_-]{22}$/

/** False where a scope is of a place that is not there. */
export function placeIsKnown(
  {
    providers,
    models,
    tiers,
    credentials,
  }: Record<'providers' | 'models' | 'tiers' | 'credentials', readonly unknown[]>,
  scope: SnapshotScope | SnapshotCredentialScope,
): boolean {
  if (!('at' in scope)) return true
  const list = { PROVIDER: providers, MODEL: models, TIER: tiers, CREDENTIAL: credentials }[scope.kind]
  return Number.isInteger(scope.at) && list[scope.at] !== undefined
}

/** A policy's `when` and the part of its scope that a grant does not settle, as one condition; null where it always holds. */
export function runningCondition(
  when: SnapshotCondition | null,
  scope: SnapshotScope,
  places: Places,
): RunningCondition | null {
  const at = 'at' in scope ? scope : undefined
  if (!when && !at && scope.kind !== 'LABEL') return null
  const asked = when ?? {}
  const labels = [
    ...Object.entries(asked.requestLabels ?? {}).map(([key, value]) => ({ key, value })),
    ...(scope.kind === 'LABEL' ? [{ key: scope.key, value: scope.value }] : []),
  ].map(({ key, value }) => ({ key, value: value === null ? null : keptAs(places.labels, key, value) }))
  const unkept = labels.find(({ value }) => value === undefined)
  const models = [
    ...(asked.models ? [new Set(asked.models.map((index) => places.models[index]!))] : []),
    ...(asked.tiers ? [union(asked.tiers.map((index) => places.tiers[index]!))] : []),
    ...(at?.kind === 'MODEL' ? [new Set([places.models[at.at]!])] : []),
    ...(at?.kind === 'TIER' ? [places.tiers[at.at]!] : []),
  ]
  return Object.freeze({
    labels: Object.freeze(labels.map(Object.freeze)) as RunningCondition['labels'],
    dialects: asked.dialect ? new Set(asked.dialect) : null,
    streamed: asked.streamed ?? null,
    tools: asked.tools ?? null,
    images: asked.images ?? null,
    languages: asked.language ? new Set(asked.language) : null,
    minInputTokens: asked.minInputTokens ?? null,
    maxInputTokens: asked.maxInputTokens ?? null,
    providers: providersOf(asked, at, places),
    models: Object.freeze(models),
    regions: asked.regions ? new Set(asked.regions) : null,
    external: asked.external ?? null,
    unknown: Object.keys(asked).find((name) => !Object.hasOwn(known, name)) ?? (unkept ? `label ${unkept.key}` : null),
  })
}

/** What a declared label value is compared as: a person's own, or a pseudonym that is named in its place. */
export function keptAs(labels: RunningLabels, key: string, value: string): string | undefined {
  return pseudonymPattern.test(value) ? value : labels.keep(key, value)
}

function providersOf(asked: SnapshotCondition, at: { kind: string; at: number } | undefined, places: Places) {
  const named = asked.providers ? new Set(asked.providers.map((index) => places.providers[index]!)) : null
  if (at?.kind !== 'PROVIDER') return named
  const scoped = new Set([places.providers[at.at]!])
  return named ? named.intersection(scoped) : scoped
}

function union<T>(sets: ReadonlySet<T>[]): ReadonlySet<T> {
  return new Set(sets.flatMap((set) => [...set]))
}

/** The part that the request settles, wherever it may go: false where the policy does not apply at all. */
export function holdsForRequest(condition: RunningCondition, facts: RequestFacts): Holds {
  let holds: Holds = condition.unknown === null ? true : undefined
  for (const { key, value } of condition.labels) {
    const own = facts.label(key)
    if (own === null || (own !== undefined && value !== null && own !== value)) return false
    if (own === undefined) holds = undefined
  }
  const { dialects, languages } = condition
  const asked: Holds[] = [
    dialects === null ? true : facts.dialect && dialects.has(facts.dialect),
    is(condition.streamed, condition.streamed === null ? undefined : facts.streamed),
    is(condition.tools, condition.tools === null ? undefined : facts.tools),
    is(condition.images, condition.images === null ? undefined : facts.images),
    languages === null ? true : speaks(facts.language, languages),
  ]
  if (asked.includes(false)) return false
  return asked.includes(undefined) ? undefined : holds
}

const speaks = (own: string | null | undefined, languages: ReadonlySet<string>): Holds =>
  own === undefined ? undefined : own !== null && languages.has(own)

const is = (wanted: boolean | null, own: Holds): Holds =>
  wanted === null ? true : own === undefined ? undefined : own === wanted

/** The part that is asked of each place a request may go to. */
export function holdsForTarget(
  condition: RunningCondition,
  { model }: Pick<RunningTarget, 'model'>,
  facts: RequestFacts,
): Holds {
  const { providers, models, regions, external, minInputTokens, maxInputTokens } = condition
  if (providers && !providers.has(model.provider)) return false
  for (const set of models) if (!set.has(model)) return false
  if (regions && !regions.has(regionOf(model) ?? '')) return false
  if (external !== null && external === model.provider.selfHosted) return false
  if (minInputTokens === null && maxInputTokens === null) return true
  const tokens = facts.inputTokens(model)
  if (tokens === undefined) return undefined
  return tokens >= (minInputTokens ?? 0) && tokens <= (maxInputTokens ?? Number.POSITIVE_INFINITY)
}

/** Where a model runs; its own region counts before its provider's. */
export function regionOf(model: RunningModel): string | null {
  return model.region ?? model.provider.region
}
