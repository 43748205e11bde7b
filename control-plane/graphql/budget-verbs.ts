import type { Resource } from '../../schema/config/index.ts'
import { type BudgetAdjustInput, type BudgetWritten, budgetAdjust } from '../domain/budgets/adjust.ts'
import { type LeasesWritten, type LeaseWriteOffInput, leaseWriteOff } from '../domain/budgets/write-off.ts'
import { BudgetBalance, shapeOf } from './budget-balance.ts'
import { builder } from './builder.ts'
import { configInput } from './config-inputs.ts'
import type { GraphContext } from './context.ts'
import { loaders } from './loaders.ts'
import { mutation, payload } from './payload.ts'
import { Budget, BudgetAdjustmentType, LeaseType } from './refs.ts'

/** As it is after the write, where its reader may see it. */
async function balanceAfter(ctx: GraphContext, { budget, adjustment }: BudgetWritten) {
  if (!budget || !adjustment || !ctx.actor.permissions.has('spend:read')) return null
  const found = await loaders(ctx).balance.load({ budget: budget.id, subject: adjustment.subject || null })
  return found ? shapeOf(budget as Resource<'budget'>, found) : null
}

mutation('budgetAdjust', {
  description: 'Adds money to one counter of a budget for its present window, or takes it away.',
  payload: payload<BudgetWritten>('BudgetPayload', (t) => ({
    budget: t.expose('budget', { type: Budget, nullable: true }),
    adjustment: t.expose('adjustment', { type: BudgetAdjustmentType, nullable: true }),
    balance: t.field({
      type: BudgetBalance,
      nullable: true,
      description: 'As it is now.',
      resolve: (written, _, ctx) => balanceAfter(ctx as unknown as GraphContext, written),
    }),
    replayed: t.exposeBoolean('replayed'),
  })),
  input: builder.inputType('BudgetAdjustInput', {
    description: 'A negative amount takes money away. Ends with `expiresAt`, and with the window in any case.',
    fields: (t) => ({
      idempotencyKey: t.string({ required: true }),
      budget: t.field({ type: 'Ref', required: true }),
      subject: t.string({ description: 'A Ref or a label value; needed where the budget has `per`.' }),
      amount: t.field({ type: configInput('MoneyInput'), required: true }),
      expiresAt: t.field({ type: 'DateTime' }),
      reason: t.string({ required: true }),
    }),
  }),
  run: (ctx, actor, input) => budgetAdjust(ctx, actor, input as BudgetAdjustInput),
})

mutation('leaseWriteOff', {
  description: 'Gives up on the money of a gateway that will not come back.',
  payload: payload<LeasesWritten>(
    'LeasePayload',
    (t) => ({
      leases: t.expose('leases', { type: [LeaseType] }),
      replayed: t.exposeBoolean('replayed'),
    }),
    '`leases`: those of the instance that are written off now.',
  ),
  input: builder.inputType('LeaseWriteOffInput', {
    description: 'Under one budget, or all that it holds money of.',
    fields: (t) => ({
      idempotencyKey: t.string({ required: true }),
      instance: t.id({ required: true }),
      budget: t.field({ type: 'Ref' }),
      reason: t.string({ required: true }),
    }),
  }),
  run: (ctx, actor, input) => leaseWriteOff(ctx, actor, input as LeaseWriteOffInput),
})
