import { parseAmount } from '../../schema/money.ts'

interface Amount {
  amount: string
}

export interface Balance {
  subject: string | null
  resource: { name: string } | null
  window: { to: string }
  limit: Amount
  adjustments: Amount
  overruns: Amount
  released: Amount
  leased: Amount
  spent: Amount
  available: Amount
  asOf: string
}

export type Action = 'BLOCK' | 'DOWNGRADE' | 'CAP' | 'WARN'

export interface DeclaredBudget {
  id: string
  name: string
  period: string
  onExhausted: Action
  balances: { nodes: Balance[]; pageInfo: { hasNextPage: boolean } }
}

export interface BudgetList {
  tenant: { budgets: { nodes: DeclaredBudget[]; pageInfo: { hasNextPage: boolean } } }
}

export interface BudgetEvent {
  __typename: string
  cursor: string
  budget?: { id: string }
  balance?: Balance
}

export interface Counter {
  key: string
  budget: string
  subject: string | null
  action: Action
  /** ISO instant; null = it does not end. */
  until: string | null
  /** limit + adjustments, at 10⁻¹². */
  whole: bigint
  used: bigint
  leased: bigint
  /** What may still be spent, at gateways or not yet. */
  left: bigint
  /** Of the whole, in thousandths, 0 to 1000 together. */
  usedShare: number
  leasedShare: number
  percent: number | null
  exhausted: boolean
}

/** The counters of all budgets: as they were read, and as events then told them. An event holds a whole balance. */
export class Budgets {
  readonly #budgets: Map<string, DeclaredBudget>
  readonly #balances = new Map<string, { budget: string; balance: Balance }>()
  /** There are budgets or counters beyond those. */
  readonly hasMore: boolean
  cursor: string | null

  constructor({ tenant: { budgets } }: BudgetList) {
    this.#budgets = new Map(budgets.nodes.map((budget) => [budget.id, budget]))
    this.hasMore = budgets.pageInfo.hasNextPage || budgets.nodes.some(({ balances }) => balances.pageInfo.hasNextPage)
    for (const { id, balances } of budgets.nodes) for (const balance of balances.nodes) this.#put(id, balance)
    this.cursor = budgets.nodes.flatMap(({ balances }) => balances.nodes)[0]?.asOf ?? null
  }

  get isEmpty(): boolean {
    return this.#budgets.size === 0
  }

  /** False where it tells that what is declared changed: then all is to be read again. */
  take(event: BudgetEvent): boolean {
    this.cursor = event.cursor
    if (!event.budget || !event.balance) return event.__typename === 'Heartbeat'
    if (!this.#budgets.has(event.budget.id)) return false
    this.#put(event.budget.id, event.balance)
    return true
  }

  /** The fullest first. */
  get counters(): Counter[] {
    const counters = [...this.#balances].map(([key, { budget, balance }]) =>
      counterOf(key, this.#budgets.get(budget)!, balance),
    )
    return counters.sort((a, b) => b.usedShare - a.usedShare || (a.key < b.key ? -1 : 1))
  }

  #put(budget: string, balance: Balance): void {
    this.#balances.set(`${budget} ${balance.subject ?? ''}`, { budget, balance })
  }
}

function counterOf(key: string, budget: DeclaredBudget, balance: Balance): Counter {
  const at = (amount: Amount) => parseAmount(amount.amount) ?? 0n
  const whole = at(balance.limit) + at(balance.adjustments)
  const used = at(balance.spent) - at(balance.overruns) - at(balance.released)
  const [leased, available] = [at(balance.leased), at(balance.available)]
  const usedShare = shareOf(used, whole)
  const ends = budget.period !== 'LIFETIME' && budget.period !== 'ROLLING'
  return {
    ...{ key, budget: budget.name, subject: balance.resource?.name ?? balance.subject, action: budget.onExhausted },
    ...{ whole, used, leased, left: available + leased, usedShare },
    until: ends ? balance.window.to : null,
    leasedShare: Math.min(1_000 - usedShare, shareOf(leased, whole)),
    percent: whole > 0n ? Number((used * 100n) / whole) : null,
    exhausted: available + leased <= 0n,
  }
}

/** Thousandths; what is more than nothing is at least a few, so that it can be seen. */
function shareOf(part: bigint, whole: bigint): number {
  if (part <= 0n) return 0
  if (whole <= 0n || part >= whole) return 1_000
  return Math.max(4, Number((part * 1_000n) / whole))
}
