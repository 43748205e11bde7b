import { and, eq, gte, inArray, or, sql } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import { isLabelScope } from '../../schema/handles.ts'
import { idKind } from '../../schema/ids.ts'
import { parseAmount } from '../../schema/money.ts'
import type { Tx } from '../db/database.ts'
import { credentialSecret, spendRollup } from '../db/tables.ts'
import { actionOf, type Draft, type PlanImpact, type PlanWarning } from './plan.ts'
import { everyIdOf, liveResources, referrers } from './resources.ts'
import { policyWarnings } from './warn-policies.ts'

const hopsMax = 8
const dayMs = 86_400_000

/** What a change reaches: everything that names it, directly or through others, and yesterday's requests of all these. */
export async function impactOf(tx: Tx, tenant: string, drafts: Draft[], nowMs: number): Promise<PlanImpact> {
  if (drafts.length === 0) return { projects: 0, apiKeys: 0, dataPlanes: 0, requestsLastDay: 0 }
  const reached = await reachedFrom(tx, tenant, drafts)
  const used = await usedLastDay(tx, tenant, [...reached], nowMs)
  const projects = new Set([...reached, ...used.map(({ project }) => project)].filter((id) => idKind(id) === 'project'))
  const apiKeys = new Set([...reached, ...used.map(({ apiKey }) => apiKey)].filter((id) => idKind(id) === 'apiKey'))
  const dataPlanes = await liveResources(tx, tenant, ['dataPlane'])
  const requestsLastDay = used.reduce((sum, { requests }) => sum + requests, 0)
  return { projects: projects.size, apiKeys: apiKeys.size, dataPlanes: dataPlanes.length, requestsLastDay }
}

async function reachedFrom(tx: Tx, tenant: string, drafts: Draft[]): Promise<Set<string>> {
  const scopes = drafts.flatMap(scopesOf)
  const everywhere = scopes.includes(tenant) ? await everyIdOf(tx, tenant, ['project']) : []
  const reached = new Set([...drafts.map(({ after }) => after.id), ...scopes, ...everywhere])
  let edge = [...reached].filter((id) => id !== tenant)
  for (let hop = 0; hop < hopsMax && edge.length > 0; hop++) {
    // The tenant names its members; what names a member is not thereby changed for everybody.
    const naming = (await referrers(tx, tenant, edge)).filter(({ path }) => !path.startsWith('members.'))
    edge = [...new Set(naming.map(({ from }) => from))].filter((id) => !reached.has(id))
    for (const id of edge) reached.add(id)
  }
  return reached
}

/** A policy holds for what is in its scope; one that moves changes both. Who carries a label is not known beforehand. */
function scopesOf({ before, after }: Draft): string[] {
  const scopes = [before, after].flatMap((one) => (one?.kind === 'policy' ? [one.spec.scope] : []))
  return scopes.filter((scope) => !isLabelScope(scope))
}

const attributed = {
  team: spendRollup.team,
  project: spendRollup.project,
  principal: spendRollup.principal,
  apiKey: spendRollup.apiKey,
  provider: spendRollup.provider,
  model: spendRollup.model,
  tier: spendRollup.tier,
  alias: spendRollup.alias,
  dataPlane: spendRollup.dataPlane,
}

async function usedLastDay(tx: Tx, tenant: string, ids: string[], nowMs: number) {
  const conditions = Object.entries(attributed).flatMap(([kind, column]) => {
    const some = ids.filter((id) => idKind(id) === kind).slice(0, 5_000)
    return some.length > 0 ? [inArray(column, some)] : []
  })
  const everything = ids.some((id) => idKind(id) === 'tenant')
  if (conditions.length === 0 && !everything) return []
  const since = new Date(Math.floor((nowMs - dayMs) / 3_600_000) * 3_600_000)
  const scope = [eq(spendRollup.tenant, tenant), eq(spendRollup.interval, 'HOUR'), gte(spendRollup.at, since)]
  return tx
    .select({
      project: spendRollup.project,
      apiKey: spendRollup.apiKey,
      requests: sql`sum(${spendRollup.requests})`.mapWith(Number),
    })
    .from(spendRollup)
    .where(and(...scope, everything ? undefined : or(...conditions)))
    .groupBy(spendRollup.project, spendRollup.apiKey)
}

/** What is allowed but probably not meant. Reads the state after the change. */
export async function warningsOf(tx: Tx, tenant: string, drafts: Draft[], nowMs: number): Promise<PlanWarning[]> {
  const changed = drafts.filter((draft) => actionOf(draft) !== 'UNCHANGED' && !draft.after.archivedAt)
  const warnings = [...(await unsetSecrets(tx, tenant, changed)), ...(await policyWarnings(tx, tenant, changed))]
  if (!changed.some(({ after }) => after.kind === 'alias' || after.kind === 'route')) return warnings
  const all = await liveResources(tx, tenant, ['provider', 'model', 'priceSheet'])
  const priced = pricedModels(all, nowMs)
  const models = new Map(all.flatMap((one) => (one.kind === 'model' ? [[one.id, one] as const] : [])))
  for (const { after, path } of changed) {
    const byCost = after.kind === 'route' && after.spec.strategy === 'LEAST_COST'
    for (const { id, at } of servedBy(after)) {
      if (priced.models.has(id) || (priced.hasCeiling && !byCost)) continue
      const effect = priced.hasCeiling
        ? 'has no price of its own: LEAST_COST takes the unpricedCeiling for what it costs'
        : 'has no price, and no price sheet has an unpricedCeiling: requests to it will be refused'
      warnings.push({ path: [...path, ...at], message: `model/${models.get(id)?.name ?? id} ${effect}` })
    }
  }
  return warnings
}

function servedBy(resource: Resource): { id: string; at: string[] }[] {
  if (resource.kind === 'alias' && resource.spec.model) return [{ id: resource.spec.model, at: ['model'] }]
  if (resource.kind !== 'route') return []
  return resource.spec.targets.map((target, index) => ({ id: target.model, at: ['targets', String(index), 'model'] }))
}

/** Models that have a price now, or cost nothing by declaration; and whether there is a price for all others. */
function pricedModels(all: Resource[], nowMs: number): { models: ReadonlySet<string>; hasCeiling: boolean } {
  const free = new Set(all.filter((one) => one.kind === 'provider' && one.spec.selfHosted).map(({ id }) => id))
  const priced = new Set(all.filter((one) => one.kind === 'model' && free.has(one.spec.provider)).map(({ id }) => id))
  let hasCeiling = false
  for (const sheet of all) {
    if (sheet.kind !== 'priceSheet' || Date.parse(sheet.spec.effectiveFrom) > nowMs) continue
    if (sheet.spec.unpricedCeiling && parseAmount(sheet.spec.unpricedCeiling.amount)) hasCeiling = true
    for (const line of sheet.spec.lines) priced.add(line.model)
  }
  return { models: priced, hasCeiling }
}

async function unsetSecrets(tx: Tx, tenant: string, changed: Draft[]): Promise<PlanWarning[]> {
  const stored = changed.filter(
    ({ after }) => after.kind === 'credential' && after.spec.source === 'STORED' && after.spec.kind !== 'NONE',
  )
  if (stored.length === 0) return []
  const ids = stored.map(({ after }) => after.id)
  const set = await tx
    .select({ id: credentialSecret.credential })
    .from(credentialSecret)
    .where(and(eq(credentialSecret.tenant, tenant), inArray(credentialSecret.credential, ids)))
  const known = new Set(set.map(({ id }) => id))
  return stored
    .filter(({ after }) => !known.has(after.id))
    .map(({ path }) => ({ path, message: 'has no secret yet; set it with credentialSet' }))
}
