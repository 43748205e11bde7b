import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { budget as budgetDeclaration } from '../../../schema/config/budgets.ts'
import { alertRule as declaration, type Resource } from '../../../schema/config/index.ts'
import { mintId } from '../../../schema/ids.ts'
import type { AlertRow } from './alerts.ts'
import { changesOf } from './evaluator.ts'
import { type Facts, judge } from './judge.ts'
import type { BudgetStanding } from './standing.ts'

const one = 1_000_000_000_000n
const tenant = mintId('tenant')
const nowMs = Date.UTC(2026, 10, 15)
const at = new Date(nowMs)
const shared = { labels: {}, revision: 1, createdAt: at, updatedAt: at, archivedAt: null }

const rule = (spec: object): Resource<'alertRule'> => ({
  ...{ ...shared, id: mintId('alertRule'), kind: 'alertRule', name: 'r' },
  spec: declaration.spec.parse({ scope: tenant, ...spec }),
})
const budget = (spec: object = {}): Resource<'budget'> => ({
  ...{ ...shared, id: mintId('budget'), kind: 'budget', name: 'b' },
  spec: budgetDeclaration.spec.parse({
    ...{ scope: tenant, limit: { amount: '100', currency: 'USD' }, period: 'MONTH', ...spec },
  }),
})
const month = { from: Date.UTC(2026, 10, 1), to: Date.UTC(2026, 11, 1) }
const standing = (spent: bigint, more: Partial<BudgetStanding> = {}): BudgetStanding => ({
  ...{ budget: budget(), subject: null, window: month, limit: 100n * one, adjustments: 0n, spent },
  ...{ available: 100n * one - spent, ...more },
})
const nothing: Facts = {
  ...{ nowMs, tree: { teams: new Map(), keys: new Map(), models: new Map() }, standings: [], forecasts: new Map() },
  ...{ minute: [], hour: [], refused: [], planes: [], keys: [] },
}
const facts = (...standings: BudgetStanding[]): Facts => ({ ...nothing, standings })
const states = (of: Resource<'alertRule'>, given: Facts) => judge(of, given).map(({ state }) => state)

describe('a threshold', () => {
  it('without one is every one of the budget, each a condition of its own', () => {
    const told = judge(rule({ on: 'BUDGET_THRESHOLD' }), facts(standing(85n * one)))
    expect(told.map(({ state }) => state)).toEqual(['RAISED', 'RAISED', 'CLEAR'])
    expect(new Set(told.map(({ condition }) => condition)).size).toBe(3)
    expect(told[1]!.summary).toBe('budget/b has spent 85 % of its limit (80 % told)')
  })
  it('is of limit and adjustments, and over only when clearly below', () => {
    const eighty = rule({ on: 'BUDGET_THRESHOLD', threshold: '80' })
    expect(states(eighty, facts(standing(80n * one)))).toEqual(['RAISED'])
    expect(states(eighty, facts(standing(80n * one, { adjustments: one })))).toEqual(['BETWEEN'])
    expect(states(eighty, facts(standing(80n * one, { adjustments: 10n * one })))).toEqual(['CLEAR'])
  })
  it('of another window is another condition; a rolling one has one', () => {
    const eighty = rule({ on: 'BUDGET_THRESHOLD', threshold: '80' })
    const same = budget()
    const rolling = budget({ period: 'ROLLING', window: 'P1D' })
    const condition = (of: Resource<'budget'>, from: number) =>
      judge(eighty, facts(standing(one, { budget: of, window: { from, to: from + 86_400_000 } })))[0]!.condition
    expect(condition(same, 0)).not.toBe(condition(same, 86_400_000))
    expect(condition(rolling, 0)).toBe(condition(rolling, 3_600_000))
  })
})

describe('exhaustion', () => {
  const exhausted = rule({ on: 'BUDGET_EXHAUSTED' })
  const spender = { team: '', project: '', principal: '', apiKey: '', provider: '', model: '', alias: '', tier: '' }
  const refused = [{ ...spender, dataPlane: '', requestLabels: {} }]
  it('is that nothing is left, or that hardly anything is and requests are refused', () => {
    expect(states(exhausted, facts(standing(100n * one)))).toEqual(['RAISED'])
    const nearly = standing(997n * (one / 10n))
    expect(states(exhausted, facts(nearly))).toEqual(['BETWEEN'])
    expect(states(exhausted, { ...facts(nearly), refused })).toEqual(['RAISED'])
    expect(states(exhausted, { ...facts(standing(50n * one)), refused })).toEqual(['CLEAR'])
    expect(states(exhausted, facts(standing(50n * one)))).toEqual(['CLEAR'])
  })
})

describe('what is foretold and what fails', () => {
  it('is told with an hour of data, of twenty requests', () => {
    const of = standing(10n * one)
    const foretold = (knownHours: number, expected: bigint): Facts => {
      const forecast = { low: expected / 2n, expected, high: expected * 2n, exhaustedAt: null }
      return { ...facts(of), forecasts: new Map([[of, { forecast, knownHours }]]) }
    }
    const ahead = rule({ on: 'BUDGET_FORECAST' })
    expect(states(ahead, foretold(0, 200n * one))).toEqual(['BETWEEN'])
    expect(states(ahead, foretold(1, 200n * one))).toEqual(['RAISED'])
    expect(states(ahead, foretold(9, 97n * one))).toEqual(['BETWEEN'])
    expect(states(ahead, foretold(9, 50n * one))).toEqual(['CLEAR'])
    const spent = { team: '', project: '', principal: '', apiKey: '', provider: '', model: '', alias: '', tier: '' }
    const calls = (requests: number, failed: number): Facts => ({
      ...nothing,
      hour: [{ slice: 0, cost: 0n, requests, failed, spent: { ...spent, dataPlane: '', requestLabels: {} } }],
    })
    const errors = rule({ on: 'ERROR_RATE', threshold: '10' })
    expect([states(errors, calls(20, 2)), states(errors, calls(10, 9)), states(errors, calls(100, 9))].flat()).toEqual([
      'RAISED',
      'BETWEEN',
      'BETWEEN',
    ])
    expect([states(errors, calls(100, 1)), states(errors, nothing)].flat()).toEqual(['CLEAR', 'CLEAR'])
  })
})

describe('alerts', () => {
  const eighty = rule({ on: 'BUDGET_THRESHOLD', threshold: '80' })
  const of = budget()
  const seen = (spent: bigint) => judge(eighty, facts(standing(spent, { budget: of })))
  const opened = (condition: string, more: Partial<AlertRow> = {}) =>
    ({ condition, rule: eighty.id, trigger: 'BUDGET_THRESHOLD', ...more }) as AlertRow

  it('do not flap: within the two percent below a level nothing begins and nothing ends', () => {
    fc.assert(
      fc.property(fc.array(fc.bigInt(7_801n, 7_999n)), fc.boolean(), (cents, isOpen) => {
        for (const spent of cents) {
          const found = seen((spent * one) / 100n)
          const open = isOpen ? [opened(found[0]!.condition)] : []
          expect(changesOf([eighty], [[eighty, found]], open)).toEqual([])
        }
      }),
    )
  })
  it('begin once, and end when the condition, what they are about, or their rule is gone', () => {
    const found = seen(90n * one)
    const open = opened(found[0]!.condition)
    expect(changesOf([eighty], [[eighty, found]], [])).toEqual([{ raise: found[0], rule: eighty }])
    expect(changesOf([eighty], [[eighty, found]], [open])).toEqual([])
    const ends = [{ resolve: open, rule: eighty }]
    expect(changesOf([eighty], [[eighty, seen(10n * one)]], [open])).toEqual(ends)
    expect(changesOf([eighty], [[eighty, []]], [open])).toEqual(ends)
    expect(changesOf([], [], [open])).toEqual([{ resolve: open, rule: undefined }])
    const other = opened(found[0]!.condition, { trigger: 'BURN_RATE' })
    expect(changesOf([eighty], [[eighty, found]], [other])).toMatchObject([{ resolve: other }])
  })
  it('of a rule that was not judged this time stay', () => {
    expect(changesOf([eighty], [], [opened('x')])).toEqual([])
  })
})
