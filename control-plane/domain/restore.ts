import { and, asc, eq, inArray, isNotNull } from 'drizzle-orm'
import { declarations, type Resource } from '../../schema/config/index.ts'
import { findReferences } from '../../schema/config/walk.ts'
import { handleOf, type Kind, parseRef } from '../../schema/handles.ts'
import type { Tx } from '../db/database.ts'
import { resource } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import { type Applied, type ArchiveInput, resourcesMax, write } from './apply.ts'
import type { Context } from './context.ts'
import { checkRules } from './draft.ts'
import { invalidInput, limitReached, notFound, type UserError } from './errors.ts'
import type { Lookup } from './lookup.ts'
import type { Draft, PlanWarning } from './plan.ts'
import { chunks, resourceOf, resourcesByIds } from './resources.ts'

/**
 * Brings archived resources back as they were. A handle names the one of that name that was archived last. What they name must
 * be there, or be restored together with them.
 */
export async function restore(ctx: Context, actor: Actor, input: ArchiveInput): Promise<Applied> {
  return write(ctx, actor, { ...input, action: 'config.restore' }, async (tx, lookup, errors, warnings) => {
    if (input.refs.length > resourcesMax) {
      errors.push(limitReached(['refs'], 'resources in one restore', resourcesMax))
      return []
    }
    await lookup.load(input.refs)
    const archived = await archivedByRefs(tx, actor.tenant, input.refs)
    const drafts = new Map<string, Draft>()
    input.refs.forEach((ref, index) => {
      const path = ['refs', String(index)]
      const before = archived.get(ref) ?? lookup.stored(ref)
      if (!parseRef(ref)) errors.push(invalidInput(path, `${ref} is not a reference`, 'kind/name or an id'))
      else if (!before) errors.push(notFound(path, ref))
      else drafts.set(before.id, { before, after: { ...before, archivedAt: null } as Resource, path })
    })
    await layOver(tx, actor.tenant, lookup, [...drafts.values()], errors, warnings)
    return [...drafts.values()]
  })
}

/** What archived resources these refs name; of several with one name the last. */
async function archivedByRefs(tx: Tx, tenant: string, refs: string[]): Promise<Map<string, Resource>> {
  const parsed = refs.flatMap((ref) => parseRef(ref) ?? [])
  const ids = parsed.flatMap((ref) => (ref.by === 'id' ? [ref.id] : []))
  const named = Map.groupBy(
    parsed.flatMap((ref) => (ref.by === 'handle' ? [ref] : [])),
    ({ kind }) => kind,
  )
  const found = new Map<string, Resource>()
  const read = async (condition: ReturnType<typeof and>, key: (one: Resource) => string) => {
    const rows = await tx
      .select()
      .from(resource)
      .where(and(eq(resource.tenant, tenant), isNotNull(resource.archivedAt), condition))
      .orderBy(asc(resource.archivedAt), asc(resource.id))
    for (const one of rows.map(resourceOf)) found.set(key(one), one)
  }
  for (const some of chunks(ids)) await read(inArray(resource.id, some), ({ id }) => id)
  for (const [kind, wanted] of named)
    for (const some of chunks(wanted.map(({ name }) => name)))
      await read(and(eq(resource.kind, kind), inArray(resource.name, some)), (one) => handleOf(one.kind, one.name))
  return found
}

/**
 * Lays drafts of stored specs over what is there and checks them as if they were new: names, rules, and that what they name
 * will be there.
 */
export async function layOver(
  tx: Tx,
  tenant: string,
  lookup: Lookup,
  drafts: Draft[],
  errors: UserError[],
  warnings: PlanWarning[],
): Promise<void> {
  const staying = drafts.filter(({ after }) => !after.archivedAt)
  for (const { after } of staying) lookup.overlay(after)
  const named = staying.map((draft) => ({ draft, references: referencesOf(draft.after) }))
  const ids = named.flatMap(({ references }) => references.map(({ value }) => value))
  await lookup.load([...ids, ...staying.map(({ after }) => handleOf(after.kind, after.name))])
  const missing = new Map<string, string>()
  for (const one of await resourcesByIds(tx, tenant, [...new Set(ids.filter((id) => !lookup.find(id)))]))
    if (one) missing.set(one.id, handleOf(one.kind, one.name))
  for (const { draft, references } of named) {
    const { path, after, before } = draft
    for (const found of references) {
      const handle = missing.get(found.value)
      if (!handle) continue
      const message = `${handleOf(after.kind, after.name)} names ${handle}, which is archived; restore that too`
      errors.push(invalidInput([...path, ...found.path], message))
    }
    checkRules(draft, errors)
    const lost = before?.archivedAt && staysLost[after.kind]
    if (lost) warnings.push({ path, message: `${handleOf(after.kind, after.name)}: ${lost}` })
  }
}

const referencesOf = ({ kind, spec }: Resource) => findReferences(declarations[kind].spec.shape, structuredClone(spec))

/** What went with a resource when it was archived and does not come back. */
const staysLost: Partial<Record<Kind, string>> = {
  apiKey: 'its secrets were revoked and stay so; issue a new key',
  dataPlane: 'its instances stay retired; enrol gateways again',
}
