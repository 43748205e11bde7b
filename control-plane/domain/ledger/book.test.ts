import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { windowAt } from '../../../schema/budget-window.ts'
import { type Call, type Decision, horizonMs } from './decide.ts'
import { Line } from './line.ts'
import { PaperLedger } from './paper.ts'
import { type CounterName, type Declared, type LeaseName, leaseKey, outstandingOf } from './rows.ts'

const startMs = Date.parse('2026-11-22T12:00:00Z')
const standing = { newestEpoch: 1, forked: false, recovering: false }
const dayRule = { period: 'DAY', windowMs: null, timeZone: 'UTC', anchorMs: null } as const
const ringRule = { period: 'ROLLING', windowMs: 3_600_000, timeZone: 'UTC', anchorMs: null } as const

const budget = (fields: Partial<Declared> = {}): Declared => ({
  ...{ id: 'a', limit: 100n, rule: dayRule, carryOver: false, guarded: true, live: true },
  ...fields,
})

function ledgerOf(...budgets: Declared[]): PaperLedger {
  const ledger = new PaperLedger()
  for (const one of budgets) ledger.declared.set(one.id, one)
  return ledger
}

interface Asking {
  missing?: bigint
  perSecond?: bigint
  next?: boolean
  budgets?: string[]
  leases?: Call['leases']
  epoch?: number
}

const callOf = (instance: string, { missing = 0n, perSecond = 0n, next = false, ...rest }: Asking = {}): Call => ({
  instance,
  epoch: rest.epoch ?? 1,
  leases: rest.leases ?? [],
  wants: (rest.budgets ?? ['a']).map((id) => ({ budget: id, subject: '', missing, perSecond, next })),
})

function answered(ledger: PaperLedger, call: Call, nowMs = startMs, where = standing): Decision {
  const decision = ledger.call(call, nowMs, where)
  if ('fault' in decision) throw new Error(decision.fault)
  return decision
}

const leaseOf = (instance: string, fields: Partial<LeaseName> = {}): LeaseName => ({
  ...{ budget: 'a', subject: '', ...windowAt(dayRule, startMs), instance, epoch: 1 },
  ...fields,
})

const rowOf = (ledger: PaperLedger, name: LeaseName) => ledger.leases.get(leaseKey(name))!
const counter: CounterName = { budget: 'a', subject: '', ...windowAt(dayRule, startMs) }
const reported = (ledger: PaperLedger, name: LeaseName, returned: bigint) => {
  const { instance: _, ...rest } = name
  return { ...rest, granted: rowOf(ledger, name).granted, returned, mac: '' }
}

/** Every sum of every counter is that of its leases, and the balance closes. */
function check(ledger: PaperLedger) {
  for (const row of ledger.counters.values()) {
    const leases = [...ledger.leases.values()].filter((lease) => lease.rolling || lease.from === row.from)
    const sum = (of: (lease: (typeof leases)[number]) => bigint) => leases.reduce((all, lease) => all + of(lease), 0n)
    const [held, overruns, released] = [sum((l) => l.granted - l.returned), sum((l) => l.overrun), sum((l) => l.aged)]
    expect([row.overruns, row.released]).toEqual([overruns, released])
    expect(row.committed).toBe(held - overruns - released)
    const available = row.limit + row.adjustments - row.committed
    expect(row.limit + row.adjustments + row.overruns + row.released).toBe(available + held)
  }
}

describe('a grant', () => {
  it('is what is missing, and no more than a minute at the rate or a fair share of what is left', () => {
    const ledger = ledgerOf(budget())
    answered(ledger, callOf('one', { missing: 10n }))
    expect(rowOf(ledger, leaseOf('one')).granted).toBe(10n)
    answered(ledger, callOf('two', { missing: 1n, perSecond: 100n }))
    expect(rowOf(ledger, leaseOf('two')).granted).toBe(22n)
    answered(ledger, callOf('two', { perSecond: 1n, missing: 0n }))
    expect(rowOf(ledger, leaseOf('two')).granted).toBe(22n + 17n)
    check(ledger)
  })

  it('is all or nothing over several budgets, and the answer names what each of them lacks', () => {
    const ledger = ledgerOf(budget(), budget({ id: 'b', limit: 5n }))
    const { refused, short } = answered(ledger, callOf('one', { missing: 10n, budgets: ['a', 'b'] }))
    expect(refused).toBe('SHORT')
    expect(short).toEqual([{ ...counter, budget: 'b', missing: 10n, reachable: 5n, available: 5n }])
    expect(ledger.leases.size).toBe(0)
  })

  it('that is short asks the others for what is missing, and is made once they gave it back', () => {
    const ledger = ledgerOf(budget())
    answered(ledger, callOf('one', { missing: 95n }))
    const { recalls } = answered(ledger, callOf('two', { missing: 10n }))
    expect(recalls).toEqual([{ instance: 'one', budget: 'a', subject: '', amount: 5n }])
    answered(ledger, callOf('one', { leases: [reported(ledger, leaseOf('one'), 5n)] }))
    expect(answered(ledger, callOf('two', { missing: 10n })).refused).toBeNull()
    check(ledger)
  })

  it('of the next window is made a horizon ahead, not before', () => {
    const ledger = ledgerOf(budget())
    const { to } = windowAt(dayRule, startMs)
    answered(ledger, callOf('one', { perSecond: 1n, next: true }), to - 2 * horizonMs)
    expect(ledger.leases.size).toBe(0)
    for (let times = 0; times < 3; times++)
      answered(ledger, callOf('one', { perSecond: 1n, next: true }), to - horizonMs)
    expect([...ledger.leases.values()]).toMatchObject([{ from: to, granted: 60n }])
  })

  it('is not made to a link that is not the newest, of a fork, while recovering, or under an archived budget', () => {
    const ledger = ledgerOf(budget(), budget({ id: 'old', live: false }))
    const refusals = [
      answered(ledger, callOf('one', { missing: 1n, epoch: 2 }), startMs, { ...standing, newestEpoch: 3 }),
      answered(ledger, callOf('one', { missing: 1n }), startMs, { ...standing, forked: true }),
      answered(ledger, callOf('one', { missing: 1n }), startMs, { ...standing, recovering: true }),
      answered(ledger, callOf('one', { missing: 1n, budgets: ['old'] })),
    ]
    expect(refusals.map(({ refused }) => refused)).toEqual(['FENCED', 'FENCED', 'RECOVERING', 'NO_BUDGET'])
    expect(ledger.leases.size).toBe(0)
  })

  it('takes a limit that was lowered at once, and a WARN budget has none', () => {
    const ledger = ledgerOf(budget())
    answered(ledger, callOf('one', { missing: 50n }))
    ledger.declared.set('a', budget({ limit: 20n }))
    expect(answered(ledger, callOf('two', { missing: 1n })).short).toMatchObject([{ available: 0n }])
    ledger.declared.set('a', budget({ limit: 20n, guarded: false }))
    expect(answered(ledger, callOf('two', { missing: 1n })).refused).toBeNull()
    check(ledger)
  })
})

describe('a report', () => {
  it('of more than the books know is taken where it is proven, and then nothing is granted', () => {
    const ledger = ledgerOf(budget())
    const { instance: _, ...name } = leaseOf('one')
    const call = callOf('one', { missing: 1n, leases: [{ ...name, granted: 30n, returned: 4n, mac: 'm' }] })
    expect(ledger.call(call, startMs, standing, () => false)).toHaveProperty('fault')
    expect(ledger.leases.size).toBe(0)
    const decision = answered(ledger, call)
    expect(decision).toMatchObject({ refused: 'RECOVERING', restored: true })
    expect(rowOf(ledger, leaseOf('one'))).toMatchObject({ granted: 30n, returned: 4n })
    expect(ledger.entries).toMatchObject([{ kind: 'RESTORED', amount: 30n }])
    check(ledger)
  })

  it('of a larger return than grant is a fault, and an older one changes nothing', () => {
    const ledger = ledgerOf(budget())
    answered(ledger, callOf('one', { missing: 30n }))
    const report = reported(ledger, leaseOf('one'), 31n)
    expect(ledger.call(callOf('one', { leases: [report] }), startMs, standing)).toHaveProperty('fault')
    for (const returned of [20n, 10n, 20n])
      answered(ledger, callOf('one', { leases: [reported(ledger, leaseOf('one'), returned)] }))
    expect(rowOf(ledger, leaseOf('one')).returned).toBe(20n)
    expect(ledger.counters.values().next().value!.committed).toBe(10n)
  })
})

describe('what was posted', () => {
  it('beyond a lease is granted after the fact, and beyond the limit it is an overrun that returns pay for', () => {
    const ledger = ledgerOf(budget())
    answered(ledger, callOf('one', { missing: 40n }))
    answered(ledger, callOf('two', { missing: 50n }))
    ledger.post(leaseOf('one'), 65n)
    const book = ledger.tend(counter, startMs)
    expect(book.incidents).toMatchObject([{ kind: 'OVERRUN', amount: 15n }])
    expect(book.available).toBe(0n)
    check(ledger)
    answered(ledger, callOf('two', { leases: [reported(ledger, leaseOf('two'), 20n)] }))
    expect(ledger.counters.values().next().value).toMatchObject({ overruns: 0n, committed: 95n })
    expect(ledger.tend(counter, startMs).incidents).toEqual([])
    check(ledger)
  })

  it('by a forked history is an overrun of no lease', () => {
    const ledger = ledgerOf(budget())
    answered(ledger, callOf('one', { missing: 40n }))
    const book = ledger.open(counter, startMs)
    book.takeFork(leaseOf('one'), 7n)
    ledger.write(book.changes)
    expect(rowOf(ledger, leaseOf('one', { epoch: 0 }))).toMatchObject({ granted: 7n, posted: 7n, overrun: 7n })
    expect(rowOf(ledger, leaseOf('one')).granted).toBe(40n)
    check(ledger)
  })

  it('takes the place of what was presumed, and a return releases the rest', () => {
    const ledger = ledgerOf(budget())
    answered(ledger, callOf('one', { missing: 40n }))
    const book = ledger.open(counter, startMs)
    book.writeOff(leaseOf('one'))
    ledger.write(book.changes)
    ledger.post(leaseOf('one'), 10n)
    answered(ledger, callOf('one', { epoch: 2, leases: [reported(ledger, leaseOf('one'), 25n)] }), startMs, {
      ...standing,
      newestEpoch: 2,
    })
    expect(outstandingOf(rowOf(ledger, leaseOf('one')))).toBe(5n)
    expect(ledger.entries.map(({ kind, amount }) => [kind, amount])).toEqual([
      ['WRITTEN_OFF', 40n],
      ['RELEASED', 25n],
    ])
    check(ledger)
  })
})

describe('time', () => {
  it('ends adjustments, and closes a window once nothing of it is out', () => {
    const ledger = ledgerOf(budget({ carryOver: true }))
    answered(ledger, callOf('one', { missing: 40n }))
    const book = ledger.open(counter, startMs)
    const blank = { reason: 'r', actor: null, endedAtMs: null, atMs: startMs }
    book.adjust({ ...counter, ...blank, id: 'x', kind: 'MANUAL', amount: 10n, expiresAtMs: startMs + 5 })
    ledger.write(book.changes)
    expect(ledger.tend(counter, startMs + 4).available).toBe(70n)
    expect(ledger.tend(counter, startMs + 5).available).toBe(60n)
    expect(ledger.tend(counter, startMs + 6).available).toBe(60n)
    expect(ledger.open(counter, counter.to).closeWindow()).toBeUndefined()
    ledger.post(leaseOf('one'), 40n)
    expect(ledger.open(counter, counter.to - 1).closeWindow()).toBeUndefined()
    expect(ledger.open(counter, counter.to).closeWindow()).toBe(60n)
    check(ledger)
  })

  it('releases what left the ring of a rolling period, also what is posted late, and never twice', () => {
    const ledger = ledgerOf(budget({ rule: ringRule }))
    const step = leaseOf('one', windowAt(ringRule, startMs))
    answered(ledger, callOf('one', { missing: 90n }))
    ledger.post(step, 60n)
    expect(answered(ledger, callOf('two', { missing: 11n }), startMs + 3_400_000).refused).toBe('SHORT')
    expect(answered(ledger, callOf('two', { missing: 11n }), startMs + 3_600_000).refused).toBeNull()
    ledger.post(step, 35n)
    for (let times = 0; times < 2; times++) answered(ledger, callOf('two', { missing: 1n }), startMs + 3_600_000)
    expect(ledger.entries.map(({ kind, amount }) => [kind, amount])).toEqual([
      ['AGED', 90n],
      ['AGED', 5n],
    ])
    answered(ledger, callOf('one', { leases: [reported(ledger, step, 3n)] }), startMs + 3_600_000)
    expect(rowOf(ledger, step)).toMatchObject({ granted: 95n, returned: 3n, aged: 92n })
    check(ledger)
  })
})

describe('any history', () => {
  const instances = ['one', 'two', 'three']
  const amount = fc.bigInt({ min: 0n, max: 60n })
  const act = fc.record({
    do: fc.constantFrom('grant', 'return', 'post', 'bill', 'wait', 'limit', 'off', 'fork'),
    who: fc.constantFrom(...instances),
    amount,
    missing: amount,
  })

  it('keeps the balance closed, and grants no more than limit and adjustments', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), fc.constantFrom(dayRule, ringRule), (acts, rule) => {
        const ledger = ledgerOf(budget({ rule }))
        let nowMs = startMs
        for (const step of acts) {
          const name = leaseOf(step.who, windowAt(rule, nowMs))
          const row = ledger.leases.get(leaseKey(name))
          const before = ledger.counters.values().next().value
          if (step.do === 'grant') answered(ledger, callOf(step.who, { missing: step.missing, perSecond: 1n }), nowMs)
          if (step.do === 'wait') nowMs += Number(step.amount) * 20_000
          if (step.do === 'limit') ledger.declared.set('a', budget({ rule, limit: step.amount * 3n }))
          if (!row || !before) continue
          if (step.do === 'post') ledger.post(name, step.amount < outstandingOf(row) ? step.amount : 0n)
          if (step.do === 'bill') ledger.post(name, step.amount)
          if (step.do === 'return' && row.returned + step.amount <= row.granted)
            answered(ledger, callOf(step.who, { leases: [reported(ledger, name, row.returned + step.amount)] }), nowMs)
          const book = ledger.open(before, nowMs)
          if (step.do === 'off') book.writeOff(name)
          if (step.do === 'fork') book.takeFork(name, step.amount)
          ledger.write(book.changes)
          check(ledger)
        }
      }),
      { numRuns: 300 },
    )
  })

  it('of grants, returns and honest posts alone never commits more than the limit', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        const ledger = ledgerOf(budget())
        for (const step of acts) {
          const name = leaseOf(step.who)
          const row = ledger.leases.get(leaseKey(name))
          if (step.do === 'grant') answered(ledger, callOf(step.who, { missing: step.missing, perSecond: 1n }))
          const free = row ? outstandingOf(row) : 0n
          if (row && step.amount <= free && step.do === 'post') ledger.post(name, step.amount)
          if (row && step.amount <= free && step.do === 'return')
            answered(ledger, callOf(step.who, { leases: [reported(ledger, name, row.returned + step.amount)] }))
          for (const { committed, overruns } of ledger.counters.values()) {
            expect(committed <= 100n).toBe(true)
            expect(overruns).toBe(0n)
          }
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('the line', () => {
  it('serves who came first under every counter it waits for', () => {
    const line = new Line<string>()
    line.join('1', ['a'])
    line.join('2', ['a', 'b'])
    line.join('3', ['b'])
    line.join('4', ['c'])
    expect(line.first).toEqual(['1', '4'])
    line.leave('1')
    expect(line.first).toEqual(['2', '4'])
    line.leave('2')
    expect(line.isFirst('3')).toBe(true)
  })
})
