import { parseAmount } from '../../schema/money.ts'
import type { Client } from '../api/client.ts'
import { refOf } from '../api/refs.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'

interface Money {
  amount: string
  currency: string
}

export interface Balance {
  subject: string | null
  resource: { handle: string } | null
  window: { from: string; to: string }
  limit: Money
  adjustments: Money
  overruns: Money
  released: Money
  leased: Money
  spent: Money
  available: Money
  asOf: string
}

export interface Budget {
  handle: string
  name: string
  per: string | null
  period: string
  window: string | null
  timeZone: string
  onExhausted: string
  scope: { ref: string }
  limit: Money
  balances: { nodes: Balance[]; pageInfo: { hasNextPage: boolean } }
}

const money = '{ amount currency }'
export const balanceFields = `subject resource { handle } window { from to } limit ${money} adjustments ${money}
  overruns ${money} released ${money} leased ${money} spent ${money} available ${money} asOf`
/** `first`: how many counters of each budget. */
export const budgetFields = (
  first: number,
) => `handle name per period window timeZone onExhausted scope { ref } limit ${money}
  balances(first: ${first}) { nodes { ${balanceFields} } pageInfo { hasNextPage } }`

const countersMax = 20
const perPage = 10
const listDocument = `query Budgets($after: Cursor) {
  tenant { budgets(first: ${perPage}, after: $after) {
    nodes { ${budgetFields(countersMax)} }
    pageInfo { hasNextPage endCursor }
  } }
}`

interface Page {
  tenant: { budgets: { nodes: Budget[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } } }
}

/** Every budget, with its first counters. */
export async function listBudgets(client: Client): Promise<Budget[] | Failed> {
  const budgets: Budget[] = []
  for (let after: string | null = null; ; ) {
    const answer: Page | Failed = await client.ask<Page>(listDocument, { after })
    if (isFailed(answer)) return answer
    const { nodes, pageInfo }: Page['tenant']['budgets'] = answer.tenant.budgets
    budgets.push(...nodes)
    if (!pageInfo.hasNextPage) return budgets
    after = pageInfo.endCursor
  }
}

/** One budget with more fields; or that there is none of this name. */
export async function readBudget<More = object>(
  client: Client,
  name: string,
  fields: string,
): Promise<(Budget & More) | Failed> {
  const document = `query Budget($ref: Ref!) { resource(ref: $ref) { ... on Budget { ${fields} } } }`
  const answer = await client.ask<{ resource: (Budget & More) | null }>(document, { ref: refOf('budget', name) })
  if (isFailed(answer)) return answer
  return answer.resource?.handle ? answer.resource : noBudget(name)
}

export const noBudget = (name: string) =>
  failed('NOT_FOUND', `There is no budget ${JSON.stringify(name)}.`, {
    advice: '`sluice budget list` shows those that there are',
  })

/** A counter's amounts, at 10⁻¹². `used` counts against `whole` = limit + adjustments. */
export function figuresOf(balance: Balance) {
  const [limit, adjustments, overruns, released, leased, spent, available] = [
    ...[balance.limit, balance.adjustments, balance.overruns, balance.released],
    ...[balance.leased, balance.spent, balance.available],
  ].map(({ amount }) => parseAmount(amount)!) as [bigint, bigint, bigint, bigint, bigint, bigint, bigint]
  return {
    limit,
    adjustments,
    overruns,
    released,
    leased,
    spent,
    available,
    whole: limit + adjustments,
    used: spent - overruns - released,
  }
}

/** Whole percent of limit + adjustments that is spent; null where that is nothing. */
export function percentOf(balance: Balance): bigint | null {
  const { whole, used } = figuresOf(balance)
  return whole > 0n ? (used * 100n) / whole : null
}
