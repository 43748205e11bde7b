import { createHmac } from 'node:crypto'
import type { SnapshotRequestLabel } from '../../schema/snapshot.ts'
import type { RunningGrant } from '../snapshot/running.ts'

/** The labels that a tenant's requests may carry, made ready when its snapshot is activated. */
export interface RunningLabels {
  /** In code-unit order of their keys. */
  readonly declared: readonly RunningLabel[]
  readonly keys: ReadonlySet<string>
  /** What a value is kept and compared as: itself, or a person's pseudonym. Undefined where that cannot be made here. */
  keep(key: string, value: string): string | undefined
  /** What is fixed for all requests of a grant, and what they may add. */
  of(grant: RunningGrant): GrantLabels
}

export interface RunningLabel {
  readonly key: string
  readonly from: readonly BodySource[]
  readonly required: boolean
  readonly values: ReadonlySet<string> | null
  readonly maxValues: number
  readonly subject: boolean
}

/** A member of the body, or of an object in it. */
export interface BodySource {
  readonly name: string
  readonly path: readonly string[]
}

export interface GrantLabels {
  /** As kept, keys in code-unit order. */
  readonly bound: Readonly<Record<string, string>>
  /** All of it, in that order: what is bound has a value, what is not may be given by the client. */
  readonly slots: readonly { readonly key: string; readonly bound?: string; readonly open?: RunningLabel }[]
  /** True where clients can add nothing. */
  readonly isClosed: boolean
  /** A bound label whose pseudonym cannot be made here. */
  readonly unkept: string | undefined
}

/** Prepares declared labels. Without `pseudonymKey` (32 secret bytes of the tenant) labels of persons cannot be kept. */
export function runningLabels(
  declared: readonly SnapshotRequestLabel[],
  pseudonymKey: Uint8Array | undefined,
): RunningLabels {
  const labels = declared.map(runningLabel).sort((a, b) => (a.key < b.key ? -1 : 1))
  const subjects = new Set(labels.filter(({ subject }) => subject).map(({ key }) => key))
  const keep = (key: string, value: string) =>
    subjects.has(key) ? pseudonymKey && pseudonym(pseudonymKey, key, value) : value
  // Grants also come with key deltas, after the snapshot; each is prepared when it is first used.
  const prepared = new WeakMap<RunningGrant, GrantLabels>()
  return Object.freeze({
    declared: Object.freeze(labels),
    keys: new Set(labels.map(({ key }) => key)),
    keep,
    of(grant: RunningGrant) {
      const known = prepared.get(grant)
      if (known) return known
      const made = grantLabels(labels, grant.requestLabels, keep)
      prepared.set(grant, made)
      return made
    },
  })
}

function runningLabel({ from, values, ...label }: SnapshotRequestLabel): RunningLabel {
  return Object.freeze({
    ...label,
    from: Object.freeze(from.map((name) => Object.freeze({ name, path: Object.freeze(pathOf(name)) }))),
    values: values && new Set(values),
  })
}

/** `metadata.user_id` is a member of `metadata`, whatever else the rest of the name holds. */
function pathOf(name: string): string[] {
  const dot = name.indexOf('.')
  return dot < 0 ? [name] : [name.slice(0, dot), name.slice(dot + 1)]
}

function grantLabels(
  declared: readonly RunningLabel[],
  given: Readonly<Record<string, string>>,
  keep: RunningLabels['keep'],
): GrantLabels {
  const bound: Record<string, string> = {}
  const slots: { key: string; bound?: string; open?: RunningLabel }[] = []
  let unkept: string | undefined
  const open = declared.filter(({ key }) => !Object.hasOwn(given, key))
  const keys = [...Object.keys(given), ...open.map(({ key }) => key)].sort()
  for (const key of keys) {
    const value = Object.hasOwn(given, key) ? keep(key, given[key]!) : undefined
    if (value !== undefined) {
      bound[key] = value
      slots.push({ key, bound: value })
    } else if (Object.hasOwn(given, key)) unkept ??= key
    else slots.push({ key, open: open.find((label) => label.key === key)! })
  }
  return Object.freeze({
    bound: Object.freeze(bound),
    slots: Object.freeze(slots),
    isClosed: open.length === 0,
    unkept,
  })
}

/**
 * A person's pseudonym: the same on all planes and for ever, and nothing to anyone without the tenant's key, however few names there
 * are to try. 128 bits of HMAC-SHA-256, bound to the label, so that one person's values under two labels cannot be joined.
 */
export function pseudonym(key: Uint8Array, label: string, value: string): string {
  const digest = createHmac('sha256', key).update(label).update('\0').update(value).digest()
  return `~${digest.toString('base64url', 0, 16)}`
}
