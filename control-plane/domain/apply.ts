import { and, eq, isNull, notInArray } from 'drizzle-orm'
import { declarations, type Resource } from '../../schema/config/index.ts'
import { findReferences } from '../../schema/config/walk.ts'
import { handleOf, type Kind, kinds, parseRef } from '../../schema/handles.ts'
import type { Tx } from '../db/database.ts'
import { resource } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import { type AuditRow, recordRefused } from './audit.ts'
import { checkLabels } from './check-labels.ts'
import { checkBetween, checkPrivileges } from './checks.ts'
import type { Context } from './context.ts'
import { checkNames, draftItems } from './draft.ts'
import {
  invalidInput,
  limitReached,
  notFound,
  notPermitted,
  stalePlan,
  staleRevision,
  stillReferenced,
  type UserError,
  type Written,
} from './errors.ts'
import { claimIdentities } from './identities.ts'
import { impactOf, warningsOf } from './impact.ts'
import { Lookup } from './lookup.ts'
import { actionOf, changeOf, type Draft, digestOf, type Plan, type PlanWarning } from './plan.ts'
import { hasLabels, issuedKinds, referrers, resourceOf, resourcesByIds } from './resources.ts'
import { retireIssued } from './retire.ts'
import { lockTenant } from './tenant-lock.ts'
import { writeRevision } from './write.ts'
import { cursorOf } from './written.ts'

/** Of one write. */
export const resourcesMax = 5_000

export interface ApplyInput {
  resources: { kind: Kind; input: Record<string, unknown> }[]
  ifRevision: number
  dryRun: boolean
  planDigest?: string | null
  prune?: Record<string, string> | null
  reason?: string | null
}

export interface Applied extends Written {
  plan: Plan | null
  /** The tenant's revision afterwards; unchanged on a dry run or a refusal. */
  revision: number
  /** As they stand (on a dry run: would stand) afterwards, in the order of the input, then what was pruned. */
  resources: Resource[]
}

/** Creates and changes any resources, all or nothing. */
export async function apply(ctx: Context, actor: Actor, input: ApplyInput): Promise<Applied> {
  return write(ctx, actor, { ...input, action: 'config.apply' }, async (tx, lookup, errors) => {
    if (input.resources.length > resourcesMax) {
      errors.push(limitReached(['resources'], 'resources in one apply', resourcesMax))
      return []
    }
    const items = input.resources.map(({ kind, input: fields }, index) => ({
      ...{ kind, input: fields },
      path: ['resources', String(index), kind],
    }))
    const drafts = await draftItems(lookup, items, ctx.clock.now(), errors)
    if (input.prune && Object.keys(input.prune).length === 0)
      errors.push(invalidInput(['prune'], 'needs at least one label: without one it would archive everything else'))
    // With errors in the input it is not known what the input mentions, and so not what is to be pruned.
    return input.prune && errors.length === 0
      ? [...drafts, ...(await prunedBy(tx, actor.tenant, input.prune, lookup, drafts))]
      : drafts
  })
}

export interface ArchiveInput {
  refs: string[]
  ifRevision: number
  dryRun: boolean
  planDigest?: string | null
  reason?: string | null
}

/** Retires resources. What something else still names is refused, unless that is archived together with it. */
export async function archive(ctx: Context, actor: Actor, input: ArchiveInput): Promise<Applied> {
  return write(ctx, actor, { ...input, action: 'config.archive' }, async (_, lookup, errors) => {
    if (input.refs.length > resourcesMax) {
      errors.push(limitReached(['refs'], 'resources in one archive', resourcesMax))
      return []
    }
    await lookup.load(input.refs)
    const drafts = new Map<string, Draft>()
    input.refs.forEach((ref, index) => {
      const path = ['refs', String(index)]
      const found = lookup.stored(ref)
      if (!parseRef(ref)) errors.push(invalidInput(path, `${ref} is not a reference`, 'kind/name or an id'))
      else if (!found) errors.push(notFound(path, ref))
      else if (found.kind === 'tenant') errors.push(invalidInput(path, 'a tenant cannot be archived'))
      else drafts.set(found.id, retired(found, path, lookup, ctx.clock.now()))
    })
    return [...drafts.values()]
  })
}

interface Asked {
  action: string
  ifRevision: number
  dryRun: boolean
  planDigest?: string | null
  reason?: string | null
}

/** Makes the drafts of a write, every error of them, and what is to be said of them beside what is said of any change. */
type Drafting = (tx: Tx, lookup: Lookup, errors: UserError[], warnings: PlanWarning[]) => Promise<Draft[]>

/** The one way in which declared resources change. A dry run does all of it and rolls back, so a plan cannot lie. */
export async function write(ctx: Context, actor: Actor, asked: Asked, drafting: Drafting): Promise<Applied> {
  if (!actor.permissions.has('config:write')) return refused(ctx, actor, asked, [notPermitted('config:write')])
  const outcome = await ctx.db.withTenant(actor.tenant, (tx) => attempt(tx, ctx, actor, asked, drafting), {
    keep: ({ errors }) => errors.length === 0 && !asked.dryRun,
  })
  if (outcome.errors.some(({ code }) => code === 'NOT_PERMITTED')) {
    return refused(ctx, actor, asked, outcome.errors, outcome.revision)
  }
  return asked.dryRun ? outcome : { ...outcome, cursor: await cursorOf(ctx, actor.tenant, outcome.audit) }
}

async function refused(
  ctx: Context,
  actor: Actor,
  asked: Asked,
  errors: UserError[],
  revision?: number,
): Promise<Applied> {
  const missing = errors.find((error) => error.type === 'NotPermitted')!
  const audit = await recordRefused(ctx, actor, asked.action, missing.permission as never)
  const cursor = await cursorOf(ctx, actor.tenant, audit)
  const current =
    revision ?? (await ctx.db.withTenant(actor.tenant, (tx) => lockTenant(tx, actor.tenant))).configRevision
  return { errors, audit, cursor, plan: null, revision: current, resources: [] }
}

async function attempt(tx: Tx, ctx: Context, actor: Actor, asked: Asked, drafting: Drafting): Promise<Applied> {
  const { configRevision: revision } = await lockTenant(tx, actor.tenant)
  const errors: UserError[] = []
  const lookup = new Lookup(tx, actor.tenant)
  await lookup.load([actor.tenant])
  const said: PlanWarning[] = []
  const drafts = await drafting(tx, lookup, errors, said)
  checkNames(lookup, drafts, errors)
  checkRevision(drafts, asked.ifRevision, revision, errors)
  const tenant = lookup.stored(actor.tenant) as Resource<'tenant'>
  for (const draft of drafts) {
    checkBetween(lookup, tenant, draft, errors)
    checkPrivileges(actor, tenant, draft, errors)
  }
  await checkLabels(tx, actor.tenant, lookup, drafts, errors)
  await checkReferenced(tx, actor.tenant, drafts, errors)
  await claimIdentities(tx, actor.tenant, drafts, errors)
  const refusal: Applied = { errors, audit: null, cursor: null, plan: null, revision, resources: [] }
  if (errors.length > 0) return refusal

  const handles = await handlesFor(tx, actor.tenant, lookup, drafts)
  const changes = drafts.map((draft) => changeOf(draft, (text) => handles.get(text) ?? text))
  const digest = digestOf(changes)
  const changed = drafts.filter((draft) => actionOf(draft) !== 'UNCHANGED')
  const impact = await impactOf(tx, actor.tenant, changed, ctx.clock.now())
  const written = await writeDrafts(tx, ctx, actor, asked, changed, drafts)
  const warnings = [...said, ...(await warningsOf(tx, actor.tenant, drafts, ctx.clock.now()))]
  const plan: Plan = { digest, baseRevision: revision, changes, warnings, impact }
  if (asked.planDigest && asked.planDigest !== digest)
    return { ...refusal, errors: [stalePlan(asked.planDigest, digest)], plan }
  if (asked.dryRun) return { ...refusal, plan, resources: written.resources }
  return { ...refusal, ...written, plan }
}

/** Nothing changed = no revision, no audit entry, no event. */
async function writeDrafts(tx: Tx, ctx: Context, actor: Actor, asked: Asked, changed: Draft[], drafts: Draft[]) {
  if (changed.length === 0) return { resources: drafts.map(({ after }) => after), audit: null as AuditRow | null }
  const changes = changed.map((draft) => changeOf(draft, (id) => id))
  const { action, reason } = asked
  await retireIssued(tx, ctx, actor.tenant, changed)
  const written = await writeRevision(tx, ctx, actor, changed, { action, reason, changes })
  const stamped = new Map(written.resources.map((one) => [one.id, one]))
  const resources = drafts.map(({ after }) => stamped.get(after.id) ?? after)
  return { resources, audit: written.audit as AuditRow | null, revision: written.revision }
}

/** Refused only where something this write touches changed after what it was written against. */
function checkRevision(drafts: Draft[], ifRevision: number, current: number, errors: UserError[]) {
  if (ifRevision > current)
    errors.push(invalidInput(['ifRevision'], `is newer than this tenant's newest revision, ${current}`))
  for (const draft of drafts) {
    const { before, path } = draft
    if (!before || before.revision <= ifRevision || actionOf(draft) === 'UNCHANGED') continue
    errors.push(staleRevision(path, handleOf(before.kind, before.name), ifRevision, before.revision))
  }
}

/** What leaves must be named by nothing that stays: neither by what this write leaves alone, nor by what it writes. */
async function checkReferenced(tx: Tx, tenant: string, drafts: Draft[], errors: UserError[]) {
  const leaving = drafts.filter(({ after }) => after.archivedAt)
  if (leaving.length === 0) return
  const rewritten = new Map(drafts.map(({ after }) => [after.id, after]))
  const ids = leaving.map(({ after }) => after.id)
  const naming = (await referrers(tx, tenant, ids)).filter(({ from }) => !rewritten.has(from))
  const written = drafts.filter(({ after }) => !after.archivedAt).flatMap(({ after }) => referencesOf(after))
  const holders = new Map<string, Resource>(rewritten)
  for (const one of await resourcesByIds(tx, tenant, [...new Set(naming.map(({ from }) => from))]))
    if (one) holders.set(one.id, one)
  for (const { after, path } of leaving) {
    const by = new Set([...naming, ...written].filter(({ to }) => to === after.id).map(({ from }) => from))
    const named = [...by].flatMap((from) => holders.get(from) ?? [])
    if (named.length > 0) errors.push(stillReferenced(path, handleOf(after.kind, after.name), named))
  }
}

const referencesOf = ({ id, kind, spec }: Resource) =>
  findReferences(declarations[kind].spec.shape, spec).map(({ value }) => ({ from: id, to: value }))

/** A resource on its way out. */
export function retired(before: Resource, path: string[], lookup: Lookup, nowMs: number): Draft {
  const after = { ...before, archivedAt: new Date(nowMs) } as Resource
  lookup.overlay(after)
  return { before, after, path }
}

/** What carries the labels and is not in the input. Keys and data planes are revoked and retired by name only. */
async function prunedBy(
  tx: Tx,
  tenant: string,
  labels: Record<string, string>,
  lookup: Lookup,
  drafts: Draft[],
): Promise<Draft[]> {
  const kept = new Set(drafts.map(({ after }) => after.id))
  const spared = ['tenant', ...issuedKinds]
  const rows = await tx
    .select()
    .from(resource)
    .where(
      and(
        eq(resource.tenant, tenant),
        isNull(resource.archivedAt),
        hasLabels(labels),
        notInArray(resource.kind, spared),
      ),
    )
  return rows
    .filter(({ id }) => !kept.has(id))
    .map((row) => retired(resourceOf(row), ['prune'], lookup, row.updatedAt.getTime()))
}

/** Handles for every id that the diffs show, as they were named before this write. */
async function handlesFor(tx: Tx, tenant: string, lookup: Lookup, drafts: Draft[]): Promise<Map<string, string>> {
  const text = JSON.stringify(drafts.map(({ before, after }) => [before?.spec, after.spec]))
  const ids = [...new Set(text.match(/[a-z]{3}_[0-9a-f]{32}/g) ?? [])]
  const named = (one: Resource): [string, string] => [one.id, `${kinds[one.kind].word}/${one.name}`]
  const stored = await resourcesByIds(tx, tenant, ids)
  const overlaid = ids.flatMap((id) => lookup.find(id) ?? [])
  return new Map([...overlaid, ...stored.filter((one) => one !== undefined)].map(named))
}
