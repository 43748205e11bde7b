import { describe, expect, it } from 'vitest'
import { type Balance, type BudgetList, Budgets } from './budgets.ts'

const balance = (spent: string, leased: string, available: string, more: Partial<Balance> = {}): Balance => ({
  ...{ subject: null, resource: null, window: { to: '2026-12-01T00:00:00.000Z' }, asOf: 'c0' },
  ...{ limit: { amount: '100' }, adjustments: { amount: '0' }, overruns: { amount: '0' }, released: { amount: '0' } },
  ...{ spent: { amount: spent }, leased: { amount: leased }, available: { amount: available } },
  ...more,
})

const list = (...budgets: [string, Balance[]][]): BudgetList => ({
  tenant: {
    budgets: {
      nodes: budgets.map(([name, nodes]) => ({
        ...{ id: `bud_${name}`, name, period: 'MONTH', onExhausted: 'BLOCK' as const },
        balances: { nodes, pageInfo: { hasNextPage: false } },
      })),
      pageInfo: { hasNextPage: false },
    },
  },
})

describe('budgets on the page', () => {
  it('stand with the fullest first, and never fill more than the whole bar', () => {
    const budgets = new Budgets(list(['a', [balance('10', '5', '85')]], ['b', [balance('95', '20', '-15')]]))
    expect(budgets.counters.map(({ budget, percent }) => [budget, percent])).toEqual([
      ['b', 95],
      ['a', 10],
    ])
    for (const { usedShare, leasedShare } of budgets.counters)
      expect(usedShare + leasedShare).toBeLessThanOrEqual(1_000)
  })

  it('show the least spent sum, and that nothing is left only where also nothing is leased', () => {
    const share = (one: Balance) => new Budgets(list(['a', [one]])).counters[0]!
    expect(share(balance('0.000001', '0', '99.999999')).usedShare).toBeGreaterThan(0)
    expect(share(balance('98', '2', '0')).exhausted).toBe(false)
    expect(share(balance('100', '0', '0')).exhausted).toBe(true)
    expect(share(balance('101', '0', '0', { overruns: { amount: '1' } })).percent).toBe(100)
  })

  it('are what the last event told, new counters with them', () => {
    const budgets = new Budgets(list(['a', [balance('10', '0', '90')]]))
    const event = { __typename: 'BudgetChanged', budget: { id: 'bud_a' } }
    expect(budgets.take({ ...event, cursor: 'c1', balance: balance('20', '0', '80') })).toBe(true)
    const other = balance('1', '0', '99', { subject: 'key_1', resource: { name: 'ci' } })
    expect(budgets.take({ ...event, cursor: 'c2', balance: other })).toBe(true)
    expect(budgets.counters.map(({ subject, percent }) => [subject, percent])).toEqual([
      [null, 20],
      ['ci', 1],
    ])
    expect(budgets.cursor).toBe('c2')
  })

  it('are to be read again where what is declared changed', () => {
    const budgets = new Budgets(list(['a', [balance('10', '0', '90')]]))
    expect(budgets.take({ __typename: 'ConfigChanged', cursor: 'c1' })).toBe(false)
    const unknown = {
      __typename: 'BudgetChanged',
      cursor: 'c2',
      budget: { id: 'bud_new' },
      balance: balance('1', '0', '9'),
    }
    expect(budgets.take(unknown)).toBe(false)
  })
})
