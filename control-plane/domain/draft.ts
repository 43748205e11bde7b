import { declarations, type Resource, type z } from '../../schema/config/index.ts'
import { fieldOf, findReferences } from '../../schema/config/walk.ts'
import { handleOf, type Kind, kinds, parseRef } from '../../schema/handles.ts'
import { mintId } from '../../schema/ids.ts'
import { parseLabels, parseName, parseSpec } from './draft-spec.ts'
import { invalidInput, nameTaken, notFound, type UserError } from './errors.ts'
import type { Lookup } from './lookup.ts'
import type { Draft } from './plan.ts'
import { issuedKinds } from './resources.ts'

export interface Item {
  kind: Kind
  input: Record<string, unknown>
  path: string[]
}

/** An item whose name is valid and whose place is known: what it changes, or that it makes something new. */
interface Placed extends Item {
  name: string
  before: Resource | undefined
}

/**
 * Turns input into drafts: finds what each item speaks of, merges, checks every field, resolves references. All errors are
 * told at once; a resource that has one still counts as there for those that name it.
 */
export async function draftItems(lookup: Lookup, items: Item[], nowMs: number, errors: UserError[]): Promise<Draft[]> {
  const placed = await placeItems(lookup, items, errors)
  const drafts = placed.map((item) => draftItem(lookup, item, nowMs, errors))
  const mentioned = drafts.flatMap(({ draft }) =>
    findReferences(declarations[draft.after.kind].spec.shape, draft.after.spec).map(({ value }) => value),
  )
  await lookup.load(mentioned)
  for (const { draft, valid } of drafts) if (valid) resolveReferences(lookup, draft, errors)
  for (const { draft, valid } of drafts) if (valid) checkRules(draft, errors)
  return drafts.filter(({ valid }) => valid).map(({ draft }) => draft)
}

/** A resource of a kind that only a verb of its own makes: its fields at the top of that verb's input. */
export async function draftNew(
  lookup: Lookup,
  kind: Kind,
  input: Record<string, unknown>,
  nowMs: number,
  errors: UserError[],
): Promise<Draft | undefined> {
  const name = parseName(input, [], errors)
  await lookup.load(name === undefined ? [] : [handleOf(kind, name)])
  const { draft, valid } = draftItem(
    lookup,
    { kind, input, path: [], name: name ?? '', before: undefined },
    nowMs,
    errors,
  )
  if (!valid) return undefined
  const { shape } = declarations[kind].spec
  await lookup.load(findReferences(shape, draft.after.spec).map(({ value }) => value))
  resolveReferences(lookup, draft, errors)
  checkRules(draft, errors)
  checkNames(lookup, [draft], errors)
  return draft
}

async function placeItems(lookup: Lookup, items: Item[], errors: UserError[]): Promise<Placed[]> {
  const named = items.flatMap((item) => {
    const name = parseName(item.input, item.path, errors)
    return name === undefined ? [] : [{ ...item, name }]
  })
  const given = named.flatMap(({ input }) => (typeof input.id === 'string' ? [input.id] : []))
  await lookup.load([...given, ...named.map(({ kind, name }) => handleOf(kind, name))])
  const seen = new Set<string>()
  const placed: Placed[] = []
  for (const item of named) {
    const handle = handleOf(item.kind, item.name)
    const place = placeItem(lookup, item)
    if ('code' in place) {
      errors.push(place)
      continue
    }
    const same = place.before ? [place.before.id, handle] : [handle]
    if (same.some((key) => seen.has(key)))
      errors.push(invalidInput([...item.path, 'name'], `${handle} is declared twice in this input`))
    else placed.push(place)
    for (const key of same) seen.add(key)
  }
  return placed
}

function placeItem(lookup: Lookup, item: Item & { name: string }): Placed | UserError {
  const { kind, name, input, path } = item
  const holder = lookup.stored(handleOf(kind, name))
  if (input.id === undefined || input.id === null) {
    return holder || !(issuedKinds.has(kind) || kind === 'tenant')
      ? { ...item, before: holder }
      : invalidInput([...path, 'name'], creators[kind]!)
  }
  const before = typeof input.id === 'string' ? lookup.stored(input.id) : undefined
  if (!before || before.kind !== kind) return notFound([...path, 'id'], String(input.id))
  return { ...item, before }
}

const creators: Partial<Record<Kind, string>> = {
  apiKey: 'there is no such key: apiKeyIssue makes keys, apply only changes them',
  dataPlane: 'there is no such data plane: dataPlaneEnroll makes them, apply only changes them',
  tenant: 'is not the name of this tenant; give its id to rename it',
}

function draftItem(
  lookup: Lookup,
  { kind, input, path, name, before }: Placed,
  nowMs: number,
  errors: UserError[],
): { draft: Draft; valid: boolean } {
  const already = errors.length
  const labels = parseLabels(input, before, path, errors)
  const spec = parseSpec(kind, input, before, path, errors)
  const valid = spec !== undefined && errors.length === already
  const made = { createdAt: new Date(nowMs), updatedAt: new Date(nowMs), revision: 0, archivedAt: null }
  const base = before ?? { id: mintId(kind, nowMs), kind, ...made }
  const after = { ...base, name, labels, spec: spec ?? before?.spec ?? {} } as Resource
  lookup.overlay(after)
  return { draft: { before, after, path }, valid }
}

function resolveReferences(lookup: Lookup, { before, after, path }: Draft, errors: UserError[]) {
  const { spec } = declarations[after.kind]
  for (const found of findReferences(spec.shape, after.spec)) {
    const at = [...path, ...found.path.map(String)]
    const parsed = parseRef(found.value)
    const words = [...found.kinds.map((kind) => kinds[kind].word), ...(found.labelScope ? ['label'] : [])]
    const expected = words.map((word) => `${word}/…`).join(' or ')
    if (!parsed) errors.push(invalidInput(at, `${found.value} is not a reference`, `${expected}, or an id`))
    else if (!found.kinds.includes(parsed.kind))
      errors.push(invalidInput(at, `names a ${kinds[parsed.kind].word}`, expected))
    else {
      const target = lookup.find(found.value)
      if (target) found.replace(target.id)
      else errors.push(notFound(at, found.value))
    }
  }
  if (before) checkKept(before, after, path, errors)
}

/** Fields that are set once: when the resource is issued, or when it is made. */
function checkKept(before: Resource, after: Resource, path: string[], errors: UserError[]) {
  const { spec, fixed } = declarations[after.kind]
  const old = before.spec as Record<string, unknown>
  for (const [field, value] of Object.entries(after.spec)) {
    const issued = fieldOf(spec.shape[field] as z.ZodType).meta.issued
    if (!(issued || fixed?.includes(field)) || JSON.stringify(old[field]) === JSON.stringify(value)) continue
    errors.push(invalidInput([...path, field], `is set when the ${kinds[after.kind].word} is made and never changes`))
  }
}

/** Rules between the fields of one resource. */
export function checkRules({ after, path }: Draft, errors: UserError[]) {
  const issues = declarations[after.kind].rules?.(after.spec as never) ?? []
  errors.push(...issues.map((issue) => invalidInput([...path, ...issue.path], issue.message)))
}

/** A name belongs to one live resource of its kind; one that moves away in the same input leaves its name free. */
export function checkNames(lookup: Lookup, drafts: Draft[], errors: UserError[]) {
  const takes = ({ before, after }: Draft) => !before || before.archivedAt !== null || before.name !== after.name
  const moving = new Set(drafts.filter(takes).map(({ after }) => after.id))
  const leaving = new Set(drafts.filter(({ after }) => after.archivedAt).map(({ after }) => after.id))
  const taken = new Map<string, Resource>()
  for (const { after, path } of drafts) {
    if (!moving.has(after.id) || leaving.has(after.id)) continue
    const handle = handleOf(after.kind, after.name)
    const other = taken.get(handle)
    if (other) errors.push(nameTaken([...path, 'name'], other))
    taken.set(handle, after)
    const holder = lookup.stored(handle)
    if (!holder || holder.id === after.id || moving.has(holder.id) || leaving.has(holder.id)) continue
    errors.push(nameTaken([...path, 'name'], holder))
  }
}
