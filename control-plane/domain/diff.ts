import { createHash } from 'node:crypto'
import type { Resource } from '../../schema/config/index.ts'
import type { FieldChange } from './audit.ts'

/** More changed leaves than this below one field are told as one change of the whole field, by digest. */
const leavesMax = 50
/** A longer value is told by its beginning and its digest. */
const charactersMax = 2_000

/** How an id is shown: as itself in the audit log, as a handle where people read it. */
export type ShowId = (id: string) => string

type Declared = Pick<Resource, 'kind' | 'name' | 'labels'> & { spec: object }

/** Every field that differs, leaf by leaf; `before` undefined = it is new, and what is not null is told. */
export function diffResources(before: Declared | undefined, after: Declared, show: ShowId): FieldChange[] {
  const fields = (resource: Declared): Record<string, unknown> => ({
    name: resource.name,
    labels: resource.labels,
    ...resource.spec,
  })
  const old = before ? fields(before) : {}
  return Object.entries(fields(after)).flatMap(([field, value]) => {
    const leaves: FieldChange[] = []
    collect([field], old[field] ?? null, value ?? null, show, leaves)
    const changes = leaves.length > leavesMax ? [whole([field], old[field] ?? null, value, show)] : leaves
    return isPersonal(after.kind, field) ? changes.map((change) => ({ ...change, personal: true })) : changes
  })
}

/** Names and identities of people; the key of a person is usually named after the person. */
function isPersonal(kind: Resource['kind'], field: string): boolean {
  if (kind === 'principal') return field === 'name' || field === 'identities' || field === 'labels'
  return kind === 'apiKey' && field === 'name'
}

function collect(path: string[], before: unknown, after: unknown, show: ShowId, into: FieldChange[]) {
  if (before === after || JSON.stringify(before) === JSON.stringify(after)) return
  if (isObject(after) && (before === null || isObject(before))) {
    const keys = new Set([...Object.keys(before ?? {}), ...Object.keys(after)])
    for (const key of keys) collect([...path, key], before?.[key] ?? null, after[key] ?? null, show, into)
    if (keys.size > 0) return
  }
  into.push(whole(path, before, after, show))
}

/** Lists too are walked, by index: a price sheet of thousands of lines tells the one that changed. */
function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}

const whole = (path: string[], before: unknown, after: unknown, show: ShowId): FieldChange => ({
  path,
  before: textOf(before, show),
  after: textOf(after, show),
})

function textOf(value: unknown, show: ShowId): string | null {
  if (value === null || value === undefined) return null
  // Ids inside too are shown by handle: those of new resources differ from one dry run to the next, and so would the plan's digest.
  const shown = (_key: string, inner: unknown) => (typeof inner === 'string' ? show(inner) : inner)
  const text = typeof value === 'string' ? show(value) : JSON.stringify(value, shown)
  if (text.length <= charactersMax) return text
  const digest = createHash('sha256').update(text).digest('hex')
  return `${text.slice(0, 200)}… (${text.length} characters, sha256 ${digest})`
}
