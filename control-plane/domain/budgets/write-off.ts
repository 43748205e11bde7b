import type { Resource } from '../../../schema/config/index.ts'
import { formatAmount } from '../../../schema/money.ts'
import type { Actor } from '../actor.ts'
import { record } from '../audit.ts'
import type { Context } from '../context.ts'
import { invalidInput, notFound, type Written } from '../errors.ts'
import { instancesByIds } from '../instances.ts'
import { outstandingOf } from '../ledger/rows.ts'
import { writeOffLeases } from '../ledger/write-off.ts'
import { mintOnce } from '../mint.ts'
import { resourcesByIds } from '../resources.ts'
import { type LeaseRow, listWrittenOff } from './reading.ts'
import { checkReason } from './reasons.ts'

export interface LeaseWriteOffInput {
  idempotencyKey: string
  instance: string
  budget?: string | null
  reason: string
}

export interface LeasesWritten extends Written {
  leases: LeaseRow[]
  replayed: boolean
}

const changesMax = 100

/** Presumes spent what an instance holds that will not come back; once per idempotency key. */
export async function leaseWriteOff(ctx: Context, actor: Actor, input: LeaseWriteOffInput): Promise<LeasesWritten> {
  const { tenant } = actor
  const { idempotencyKey, ...body } = input
  const mint = { operation: 'lease.writeOff', key: idempotencyKey, body }
  let budget: string | undefined
  const minted = await mintOnce<null>(ctx, actor, mint, ['config:write'], async (tx, lookup, _, errors) => {
    await lookup.load(input.budget ? [input.budget] : [])
    const named = input.budget ? lookup.find(input.budget) : undefined
    const [instance] = await instancesByIds(tx, tenant, [input.instance], ctx.clock.now())
    checkReason(input.reason, errors)
    if (input.budget && named?.kind !== 'budget') errors.push(notFound(['budget'], input.budget))
    if (!instance) errors.push(notFound(['instance'], input.instance))
    else if (instance.state === 'CURRENT' || instance.state === 'BEHIND')
      errors.push(invalidInput(['instance'], 'is connected; it gives its money back by itself when it is stopped'))
    if (!instance || errors.length > 0) return undefined
    budget = named?.id
    const lost = await writeOffLeases(tx, ctx, tenant, { instance: instance.id, budget })
    const changes = lost.slice(0, changesMax).map((row) => {
      const path = ['leases', row.budget, ...(row.subject && [row.subject]), String(row.from)]
      return { path, before: null, after: formatAmount(outstandingOf(row)) }
    })
    const targets = [{ id: instance.id, name: instance.host ?? instance.id, changes }]
    const audit = await record(tx, ctx, actor, { action: mint.operation, targets, reason: input.reason })
    await ctx.db.notify(tx, 'records', tenant)
    const [plane] = await resourcesByIds(tx, tenant, [instance.dataPlane])
    return { resource: plane as Resource, audit, extra: null }
  })
  const { resource, extra: _, ...written } = minted
  const query = { instance: input.instance, budget }
  const leases = resource ? await ctx.db.withTenant(tenant, (tx) => listWrittenOff(tx, tenant, query)) : []
  return { ...written, leases }
}
