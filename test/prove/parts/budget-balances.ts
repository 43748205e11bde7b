import { parseAmount } from '../../../schema/money.ts'
import { counterName } from './budget-declaration.ts'
import type { CrashHouse } from './crash-house.ts'

/** A counter as the API shows it, at 10⁻¹². */
export interface Shown {
  counter: string
  action: string
  limit: bigint
  adjustments: bigint
  overruns: bigint
  released: bigint
  leased: bigint
  spent: bigint
  available: bigint
}

type Terms = 'limit' | 'adjustments' | 'overruns' | 'released' | 'leased' | 'spent' | 'available'
type Balance = { subject: string | null } & Record<Terms, { amount: string }>
interface Answer {
  tenant: { budgets: { nodes: { name: string; onExhausted: string; balances: { nodes: Balance[] } }[] } }
}

const money = ['limit', 'adjustments', 'overruns', 'released', 'leased', 'spent', 'available'] as const
const query = `{ tenant { budgets(first: 50) { nodes { name onExhausted balances(first: 50) { nodes {
  subject ${money.map((term) => `${term} { amount }`).join(' ')} } } } } } }`

/** The balances of every budget, by the API. */
export async function balances(house: CrashHouse): Promise<Shown[]> {
  const { tenant } = await house.ask<Answer>(query)
  return tenant.budgets.nodes.flatMap(({ name, onExhausted, balances: { nodes } }) =>
    nodes.map((balance) => {
      const terms = Object.fromEntries(money.map((term) => [term, parseAmount(balance[term].amount)!]))
      return { counter: counterName(name, balance.subject), action: onExhausted, ...terms } as unknown as Shown
    }),
  )
}

/** What is wrong with a balance at any moment: its terms do not add up, or more was spent than there may be. */
export function faultOf(shown: Shown): string | undefined {
  const { counter, action, limit, adjustments, overruns, released, leased, spent, available } = shown
  if (limit + adjustments + overruns + released !== available + leased + spent)
    return `the terms of ${counter} do not add up: ${JSON.stringify(shown, (_, value) => String(value))}`
  if (action === 'WARN') return undefined
  if (leased < 0n) return `${counter} has a negative amount leased`
  if (overruns > 0n) return `${counter} has an overrun though the provider kept to its limits`
  return spent > limit + adjustments ? `${counter} is overspent by ${spent - limit - adjustments}` : undefined
}
