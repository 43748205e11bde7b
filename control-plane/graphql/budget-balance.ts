import type { Resource } from '../../schema/config/index.ts'
import { handleOf } from '../../schema/handles.ts'
import type { BalanceAsOf } from '../domain/budgets/reading.ts'
import { isLabelValue, subjectKinds } from '../domain/budgets/subjects.ts'
import { type ToldBalance, toldOf } from '../domain/budgets/telling.ts'
import { findResource } from '../domain/resources.ts'
import { builder } from './builder.ts'
import { connectionOf, keysetAfter, page, pageCost, pageSize } from './connection.ts'
import type { GraphContext } from './context.ts'
import { requestError } from './errors.ts'
import { budgetSubjects, loaders, read, visibleResource } from './loaders.ts'
import { Money, TimeWindow } from './money.ts'
import { Budget, ResourceType } from './refs.ts'

type Shape = ToldBalance & { asOf: string }

export const BudgetBalance = builder.objectRef<Shape>('BudgetBalance').implement({
  description:
    'One counter of the present window. limit + adjustments + overruns + released = available + leased + spent, always; the two in ' +
    'the middle are 0 as long as nothing unusual happens.',
  fields: (t) => {
    const amount = (name: Exclude<keyof ToldBalance, 'subject' | 'window' | 'currency'>, description?: string) =>
      t.field({ type: Money, description, resolve: (row) => ({ amount: row[name], currency: row.currency }) })
    return {
      subject: t.exposeString('subject', {
        nullable: true,
        description: 'Whom it counts: an id or a label value. Null: the whole scope.',
      }),
      resource: t.field({
        type: ResourceType,
        nullable: true,
        description: 'The subject, where it is a resource.',
        resolve: ({ subject }, _, ctx) => visibleResource(ctx, subject),
      }),
      window: t.field({
        type: TimeWindow,
        description: 'Of a ROLLING period the one that ends with the present step of it.',
        resolve: ({ window }) => ({ from: new Date(window.from), to: new Date(window.to) }),
      }),
      limit: amount('limit'),
      adjustments: amount('adjustments'),
      overruns: amount('overruns', 'What providers billed beyond their own declared limits.'),
      released: amount('released', 'What left a ROLLING window and is not settled yet.'),
      leased: amount('leased', 'What data planes may spend and have not.'),
      spent: amount('spent', 'Posted, or presumed spent by what was written off.'),
      available: amount(
        'available',
        'Negative where the limit was set below what is out, or a WARN budget is exceeded.',
      ),
      asOf: t.expose('asOf', {
        type: 'Cursor',
        description: '`events` after it tell every change since, and nothing older.',
      }),
    }
  },
})

const BalanceConnection = connectionOf(BudgetBalance)

export const shapeOf = (budget: Resource<'budget'>, { asOf, ...balance }: BalanceAsOf): Shape => ({
  ...toldOf(balance, budget.spec.limit.currency),
  asOf,
})

builder.objectFields(Budget, (t) => ({
  balance: t.field({
    type: BudgetBalance,
    nullable: true,
    args: { subject: t.arg.string({ description: 'A Ref or a label value; needed where `per` is set.' }) },
    description: 'Null: there is no such subject.',
    complexity: 5,
    resolve: async (budget, { subject }, ctx) => {
      const readable = await budgetSubjects(ctx, budget)
      if (readable === undefined) throw requestError('NOT_PERMITTED')
      const id = await subjectOf(ctx, budget, subject)
      if (id === undefined || (readable !== null && !readable.includes(id ?? ''))) return null
      const found = await loaders(ctx).balance.load({ budget: budget.id, subject: id })
      return found ? shapeOf(budget, found) : null
    },
  }),
  balances: t.field({
    type: BalanceConnection,
    args: { first: t.arg.int({ defaultValue: 50 }), after: t.arg({ type: 'Cursor' }) },
    description: 'Of the present window: of those subjects that something was leased or spent for.',
    complexity: pageCost,
    resolve: async (budget, args, ctx) => {
      const subjects = await budgetSubjects(ctx, budget)
      if (subjects === undefined) throw requestError('NOT_PERMITTED')
      const after = keysetAfter(args.after, 1)?.[0]
      const query = { budget, first: pageSize(args), after: after === undefined ? null : String(after), subjects }
      const { rows, hasNext } = await loaders(ctx).balances.load(query)
      return page(
        rows.map((row) => shapeOf(budget, row)),
        hasNext,
        ({ subject }) => [subject ?? ''],
        args.after,
      )
    },
  }),
}))

/** The id behind what was given for a subject; null = the one counter, undefined = nothing that there is. */
async function subjectOf(
  ctx: GraphContext,
  { spec, name }: Resource<'budget'>,
  given: string | null | undefined,
): Promise<string | null | undefined> {
  if (spec.per === null) {
    if (given === null || given === undefined) return null
    throw requestError('BAD_DOCUMENT', `${handleOf('budget', name)} has one counter; leave subject out.`)
  }
  if (given === null || given === undefined || given === '')
    throw requestError('BAD_DOCUMENT', `${handleOf('budget', name)} counts per ${spec.per}; name a subject.`)
  if (spec.per === 'LABEL_VALUE') return isLabelValue(given) ? given : undefined
  const found = await read(ctx, (tx, tenant) => findResource(tx, tenant, given))
  const visible = found && (await visibleResource(ctx, found.id))
  return visible?.kind === subjectKinds[spec.per] ? visible.id : undefined
}
