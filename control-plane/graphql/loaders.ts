import { createContextCache } from '@pothos/core'
import DataLoader from 'dataloader'
import type { Resource } from '../../schema/config/index.ts'
import type { Kind } from '../../schema/handles.ts'
import type { Tx } from '../db/database.ts'
import { alertsByIds } from '../domain/alerts/alerts.ts'
import { type BalancesQuery, listBalances, readBalances } from '../domain/budgets/reading.ts'
import { credentialFacts } from '../domain/credentials.ts'
import { apiKeyFacts } from '../domain/keys.ts'
import { dataPlaneFacts, instancesByIds } from '../domain/planes.ts'
import { listResources, membershipsOf, resourcesByIds } from '../domain/resources.ts'
import { type SpendArgs, spend } from '../domain/spend.ts'
import { webhookStates } from '../domain/webhooks/deliveries.ts'
import type { GraphContext } from './context.ts'
import { isVisible, readableSubjects } from './visible.ts'

/** Reads as the caller's tenant, in one transaction. */
export function read<T>(ctx: GraphContext, work: (tx: Tx, tenant: string) => Promise<T>): Promise<T> {
  const { tenant } = ctx.actor
  return ctx.domain.db.withTenant(tenant, (tx) => work(tx, tenant))
}

/** Gathers what is asked for at once into one read. Nothing is kept: a stream's context lives long, and names change. */
function byId<Value>(ctx: GraphContext, load: (tx: Tx, tenant: string, ids: string[]) => Promise<Value[]>) {
  return new DataLoader<string, Value>(
    async (keys) => {
      const ids = [...new Set(keys)]
      const values = await read(ctx, (tx, tenant) => load(tx, tenant, ids))
      const found = new Map(ids.map((id, index) => [id, values[index]!]))
      return keys.map((key) => found.get(key)!)
    },
    { cache: false, maxBatchSize: 1_000 },
  )
}

export const loaders = createContextCache((ctx: GraphContext) => {
  const nowMs = () => ctx.domain.clock.now()
  return {
    resource: byId(ctx, (tx, tenant, ids) => resourcesByIds(tx, tenant, ids)),
    apiKeyFacts: byId(ctx, (tx, tenant, ids) => apiKeyFacts(tx, tenant, ids, nowMs())),
    credentialFacts: byId(ctx, credentialFacts),
    dataPlaneFacts: byId(ctx, (tx, tenant, ids) => dataPlaneFacts(tx, tenant, ids, nowMs())),
    instance: byId(ctx, (tx, tenant, ids) => instancesByIds(tx, tenant, ids, nowMs())),
    alert: byId(ctx, alertsByIds),
    webhookState: byId(ctx, webhookStates),
    /** Every `balance` of one operation has one `asOf`. */
    balance: new DataLoader(
      (asked: readonly { budget: string; subject: string | null }[]) =>
        read(ctx, (tx, tenant) => readBalances(tx, tenant, asked, nowMs())),
      { cache: false, maxBatchSize: 1_000 },
    ),
    /** Pages of balances of one operation have one `asOf`, too. */
    balances: new DataLoader(
      (asked: readonly BalancesQuery[]) => read(ctx, (tx, tenant) => listBalances(tx, tenant, asked, nowMs())),
      { cache: false, maxBatchSize: 100 },
    ),
    memberships: byId(ctx, (tx, tenant, ids) => Promise.all(ids.map((id) => membershipsOf(tx, tenant, id)))),
    /** Every `spend` of one operation is read in one snapshot, so that their cursors are one and ticks fit them all. */
    spend: new DataLoader(
      (asked: readonly SpendArgs[]) =>
        ctx.domain.db.withTenant(
          ctx.actor.tenant,
          async (tx) => {
            const series = []
            for (const args of asked) series.push(await spend(tx, ctx.actor.tenant, args, nowMs()))
            return series
          },
          { isolation: 'SNAPSHOT' },
        ),
      { cache: false, maxBatchSize: 10 },
    ),
  }
})

/** The resource behind an id, if this actor may see it. */
export async function visibleResource(ctx: GraphContext, id: string | null): Promise<Resource | null> {
  const found = id ? await loaders(ctx).resource.load(id) : undefined
  return found && (await meets(ctx, found)) ? found : null
}

/** Whether this actor may see a resource; of a budget that also depends on whom it counts. */
export async function meets(ctx: GraphContext, resource: Resource): Promise<boolean> {
  if (isVisible(ctx.actor, resource)) return true
  return resource.kind === 'budget' && (await budgetSubjects(ctx, resource)) !== undefined
}

/** Own keys beyond these are not looked for under a budget. */
const keysMax = 1_000

/** The subjects of a budget whose spending this actor may see: null = all of them, undefined = none. */
export function budgetSubjects(ctx: GraphContext, budget: Resource<'budget'>): Promise<string[] | null | undefined> {
  return readableSubjects(ctx.actor, budget, {
    load: (id) => loaders(ctx).resource.load(id),
    keysOf: async (principal) => {
      const query = { kinds: ['apiKey'] as const, where: { principal: [principal] }, first: keysMax }
      const { rows } = await read(ctx, (tx, tenant) => listResources(tx, tenant, query))
      return rows.map(({ id }) => id)
    },
  })
}

/** Of one kind; the reference was declared to name only that kind. */
export async function resourceOf<K extends Kind>(ctx: GraphContext, kind: K, id: string | null) {
  const found = await visibleResource(ctx, id)
  return found?.kind === kind ? (found as Resource<K>) : null
}

/** A reference that cannot be missing: what is referenced cannot be archived away, only hidden. */
export async function referenced<K extends Kind>(ctx: GraphContext, kind: K, id: string): Promise<Resource<K>> {
  const found = await loaders(ctx).resource.load(id)
  if (found?.kind !== kind) throw new Error(`${id} is named but is no ${kind}.`)
  return found as Resource<K>
}

/** Several references, those left out that this actor may not see. */
export async function resourcesOf<K extends Kind>(ctx: GraphContext, kind: K, ids: readonly string[]) {
  const found = await Promise.all(ids.map((id) => resourceOf(ctx, kind, id)))
  return found.filter((resource) => resource !== null)
}
