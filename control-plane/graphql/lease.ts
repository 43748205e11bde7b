import { formatAmount, parseAmount } from '../../schema/money.ts'
import { type LeaseRow, leaseKeyOf, listLeases } from '../domain/budgets/reading.ts'
import { inTenantCurrency } from './budget-adjustment.ts'
import { builder } from './builder.ts'
import { connectionOf, keysetAfter, type PageArgs, page, pageCost, pageSize } from './connection.ts'
import type { GraphContext } from './context.ts'
import { isLeaseKey, leaseIdOf } from './lease-id.ts'
import { loaders, read, referenced } from './loaders.ts'
import { Money, TimeWindow } from './money.ts'
import { Budget, InstanceType, LeaseType, Node } from './refs.ts'

export const LeaseState = builder.enumType('LeaseState', {
  description:
    'ACTIVE: its instance may spend what is left. RETURNED: nothing is left. LOST: something is, and its instance is away. ' +
    'WRITTEN_OFF: what was left is presumed spent, until records or the instance say better.',
  values: ['ACTIVE', 'RETURNED', 'LOST', 'WRITTEN_OFF'] as const,
})

/** What of a lease is neither returned nor posted; less than nothing where records told of more than was granted. */
const outstandingOf = ({ granted, returned, posted }: LeaseRow): bigint =>
  parseAmount(granted)! - parseAmount(returned)! - parseAmount(posted)!

async function stateOf(ctx: GraphContext, row: LeaseRow) {
  if (outstandingOf(row) <= 0n) return 'RETURNED'
  if (row.writtenOffAt) return 'WRITTEN_OFF'
  const instance = await loaders(ctx).instance.load(row.instance)
  return instance?.state === 'CURRENT' || instance?.state === 'BEHIND' ? 'ACTIVE' : 'LOST'
}

LeaseType.implement({
  description: 'Money that an instance may spend under one counter. The totals only grow.',
  interfaces: [Node],
  isTypeOf: (value) => typeof value === 'object' && value !== null && 'granted' in value,
  fields: (t) => {
    const total = (name: 'granted' | 'returned' | 'posted', description: string) =>
      t.field({ type: Money, description, resolve: (row, _, ctx) => inTenantCurrency(ctx, row[name]) })
    return {
      id: t.id({ resolve: leaseIdOf }),
      budget: t.field({ type: Budget, resolve: (row, _, ctx) => referenced(ctx, 'budget', row.budget) }),
      instance: t.field({
        type: InstanceType,
        nullable: true,
        description: 'Null where it is no longer known.',
        resolve: async (row, _, ctx) => (await loaders(ctx).instance.load(row.instance)) ?? null,
      }),
      epoch: t.string({ resolve: ({ epoch }) => String(epoch) }),
      window: t.field({
        type: TimeWindow,
        resolve: ({ windowFrom, windowTo }) => ({ from: new Date(windowFrom), to: new Date(windowTo) }),
      }),
      subject: t.string({ nullable: true, resolve: ({ subject }) => subject || null }),
      granted: total('granted', 'What the control plane ever gave.'),
      returned: total('returned', 'What the instance ever gave back.'),
      posted: total('posted', 'What its records spent.'),
      presumed: t.field({
        type: Money,
        description: 'Written off: counts as spent until records say better.',
        resolve: (row, _, ctx) => {
          const left = outstandingOf(row)
          return inTenantCurrency(ctx, row.writtenOffAt && left > 0n ? formatAmount(left) : '0')
        },
      }),
      state: t.field({ type: LeaseState, resolve: (row, _, ctx) => stateOf(ctx, row) }),
    }
  },
})

const LeaseConnection = connectionOf(LeaseType)

const leasesBy = (of: 'budget' | 'instance') => async (parent: { id: string }, args: PageArgs, ctx: GraphContext) => {
  const keyset = keysetAfter(args.after, 6)
  const after = keyset && isLeaseKey(keyset) ? keyset : null
  const query = { [of]: parent.id, first: pageSize(args), after }
  const { rows, hasNext } = await read(ctx, (tx, tenant) => listLeases(tx, tenant, query))
  return page(rows, hasNext, (row) => [...leaseKeyOf(row)], args.after)
}

builder.objectField(Budget, 'leases', (t) =>
  t.field({
    type: LeaseConnection,
    args: { first: t.arg.int({ defaultValue: 50 }), after: t.arg({ type: 'Cursor' }) },
    description: 'Latest window first.',
    authScopes: { may: 'config:read' },
    complexity: pageCost,
    resolve: leasesBy('budget'),
  }),
)

builder.objectField(InstanceType, 'leases', (t) =>
  t.field({
    type: LeaseConnection,
    args: { first: t.arg.int({ defaultValue: 50 }), after: t.arg({ type: 'Cursor' }) },
    description: 'Latest window first.',
    authScopes: { may: 'config:read' },
    complexity: pageCost,
    resolve: leasesBy('instance'),
  }),
)
