import { listAdjustments } from '../domain/budgets/reading.ts'
import { Actor, type ActorShape } from './audit.ts'
import { builder } from './builder.ts'
import { connectionOf, keysetAfter, page, pageCost, pageSize } from './connection.ts'
import type { GraphContext } from './context.ts'
import { read, referenced } from './loaders.ts'
import { Money, TimeWindow } from './money.ts'
import { Budget, BudgetAdjustmentType, Node } from './refs.ts'

const AdjustmentKind = builder.enumType('AdjustmentKind', {
  description:
    'MANUAL: somebody did it. CARRIED: what the window before left over. TAKEN_OVER: what stood under the period that was declared before.',
  values: ['MANUAL', 'CARRIED', 'TAKEN_OVER'] as const,
})

const system: ActorShape = { kind: 'SYSTEM', id: 'system', name: 'control plane' }

BudgetAdjustmentType.implement({
  description: 'Money added to a counter of one window, or taken from it where negative.',
  interfaces: [Node],
  isTypeOf: (value) => typeof value === 'object' && value !== null && 'endedAt' in value,
  fields: (t) => ({
    id: t.exposeID('id'),
    at: t.expose('at', { type: 'DateTime' }),
    kind: t.expose('kind', { type: AdjustmentKind }),
    amount: t.field({ type: Money, resolve: async (row, _, ctx) => inTenantCurrency(ctx, row.amount) }),
    reason: t.exposeString('reason'),
    actor: t.field({ type: Actor, resolve: ({ actor }) => (actor as ActorShape | null) ?? system }),
    subject: t.string({ nullable: true, resolve: ({ subject }) => subject || null }),
    window: t.field({
      type: TimeWindow,
      resolve: ({ windowFrom, windowTo }) => ({ from: new Date(windowFrom), to: new Date(windowTo) }),
    }),
    expiresAt: t.expose('expiresAt', { type: 'DateTime', nullable: true }),
    endedAt: t.expose('endedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Since when it counts no longer.',
    }),
  }),
})

/** Every amount of a tenant is in its currency. */
export async function inTenantCurrency(ctx: GraphContext, amount: string) {
  const { spec } = await referenced(ctx, 'tenant', ctx.actor.tenant)
  return { amount: shortest(amount), currency: spec.currency }
}

/** The database writes all twelve digits. */
const shortest = (amount: string) => (amount.includes('.') ? amount.replace(/\.?0+$/, '') : amount)

const AdjustmentConnection = connectionOf(BudgetAdjustmentType)

builder.objectField(Budget, 'adjustments', (t) =>
  t.field({
    type: AdjustmentConnection,
    args: { first: t.arg.int({ defaultValue: 50 }), after: t.arg({ type: 'Cursor' }) },
    description: 'Newest first.',
    authScopes: { may: 'config:read' },
    complexity: pageCost,
    resolve: async ({ id }, args, ctx) => {
      const after = keysetAfter(args.after, 1)?.[0]
      const query = { budget: id, first: pageSize(args), after: after === undefined ? null : String(after) }
      const { rows, hasNext } = await read(ctx, (tx, tenant) => listAdjustments(tx, tenant, query))
      return page(rows, hasNext, (row) => [row.id], args.after)
    },
  }),
)
