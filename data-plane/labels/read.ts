import { type Refusal, refuse } from '../../schema/refusals.ts'
import type { FoundKey } from '../snapshot/running.ts'
import type { BodySource, RunningLabel } from './declared.ts'
import { isLabelValue, labelsHeader, labelValueCharactersMax, parseLabels } from './header.ts'
import type { LabelValues } from './values.ts'

type Labels = Readonly<Record<string, string>>

/** The labels of one request, keys in code-unit order. */
export interface RequestLabels {
  /** What policies look at. */
  readonly exact: Labels
  /** What is recorded: the same, but for labels that have had too many values. */
  readonly recorded: Labels
}

/** What the key binds, and nothing else: for a request that was refused before its own labels were read. */
export function boundLabels({ snapshot, grant }: FoundKey): Labels {
  return snapshot.requestLabels.of(grant).bound
}

/**
 * Labels a request: what its key binds, then for each other declared label the header, then the members of the body that its
 * declaration names. What is not declared is refused in the header, since it was meant for us, and ignored in the body.
 */
export function readLabels(
  found: FoundKey,
  headers: Headers,
  body: unknown,
  values: LabelValues,
  nowMs: number,
): RequestLabels | Refusal {
  const { requestLabels } = found.snapshot
  const { bound, slots, isClosed, unkept } = requestLabels.of(found.grant)
  if (unkept !== undefined) return noPseudonym(unkept)
  const text = headers.get(labelsHeader)
  if (text === null && isClosed) return { exact: bound, recorded: bound }
  const given = text === null || text.trim() === '' ? nothing : parseLabels(text)
  if ('wrong' in given) return refuse('malformed_request', given.wrong, labelsHeader)
  for (const key of given.keys())
    if (!requestLabels.keys.has(key) && !Object.hasOwn(bound, key)) return undeclared(key, requestLabels.declared)

  const exact: Record<string, string> = {}
  let recorded: Record<string, string> | undefined
  for (const slot of slots) {
    const value = slot.open ? givenValue(slot.open, given, body) : slot.bound!
    if (typeof value === 'object') return value
    if (value === undefined) continue
    const kept = slot.open ? requestLabels.keep(slot.key, value) : value
    if (kept === undefined) return noPseudonym(slot.key)
    const counted = slot.open?.values === null
    const told = counted ? values.bounded(found.snapshot.tenant.id, slot.key, kept, slot.open!.maxValues, nowMs) : kept
    if (told !== kept) recorded ??= { ...exact }
    exact[slot.key] = kept
    if (recorded) recorded[slot.key] = told
  }
  return { exact, recorded: recorded ?? exact }
}

const nothing: ReadonlyMap<string, string> = new Map()

/** The client's value of a label, checked; undefined where it gives none and needs none. */
function givenValue(
  label: RunningLabel,
  given: ReadonlyMap<string, string>,
  body: unknown,
): string | undefined | Refusal {
  const { key } = label
  let value: unknown = given.get(key)
  let param = labelsHeader
  for (const source of value === undefined ? label.from : []) {
    value = memberOf(body, source)
    param = source.name
    if (value !== undefined) break
  }
  if (value === undefined) return label.required ? missing(label) : undefined
  if (typeof value !== 'string' || !isLabelValue(value))
    return refuse(
      'malformed_request',
      `The label ${key} must be text of 1 to ${labelValueCharactersMax} characters.`,
      param,
    )
  if (label.values && !label.values.has(value))
    return refuse('request_not_allowed', `This value of the label ${key} is not allowed.${choice(label)}`, param)
  return value
}

/** Own members only; null counts as absent, as it does for providers. */
function memberOf(body: unknown, { path }: BodySource): unknown {
  let value = body
  for (const name of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined
    value = (value as Record<string, unknown>)[name]
  }
  return value ?? undefined
}

function missing(label: RunningLabel): Refusal {
  const { key, from } = label
  const ways = [`${labelsHeader}: ${key}=…`, ...from.map(({ name }) => `'${name}' in the body`)].join(' or as ')
  return refuse('request_not_allowed', `The label ${key} is missing; send it as ${ways}.${choice(label)}`, labelsHeader)
}

/** Names of persons are not told to who sends another. */
function choice({ values, subject }: RunningLabel): string {
  return values && !subject ? ` It is one of ${listed(values)}.` : ''
}

function undeclared(key: string, declared: readonly RunningLabel[]): Refusal {
  const known = declared.length === 0 ? 'there are none' : `there is ${listed(declared.map((label) => label.key))}`
  return refuse('malformed_request', `${key} is not a declared label; ${known}.`, labelsHeader)
}

function noPseudonym(key: string): Refusal {
  return refuse('policy_unavailable', `The label ${key} names a person, and no pseudonym of it can be made here.`)
}

const listedMax = 20

function listed(words: Iterable<string>): string {
  const all = [...words]
  const more = all.length > listedMax ? ` and ${all.length - listedMax} more` : ''
  return `${all.slice(0, listedMax).join(', ')}${more}`
}
