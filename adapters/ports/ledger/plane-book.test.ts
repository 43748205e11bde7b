import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { BudgetCounter } from '../../../data-plane/ports.ts'
import type { LeaseCall, LeaseWant } from '../../../schema/link-lease.ts'
import { formatAmount, parseAmount } from '../../../schema/money.ts'
import { LeaseLog, leaseKey, newTotals } from './lease-frame.ts'
import type { Moment } from './moment.ts'
import { type Effects, PlaneBook } from './plane-book.ts'
import { LeaseReservation } from './reservation.ts'
import type { Funding } from './waiter.ts'

const tenant = 'tnt_1'
const dayMs = 86_400_000
const startMs = Date.UTC(2026, 0, 5)
const rule = { period: 'DAY' as const, windowMs: null, timeZone: 'UTC', anchorMs: null }
const counter = (id: string, more: Partial<BudgetCounter['of']> = {}): BudgetCounter => ({
  subject: null,
  of: {
    id,
    name: id,
    action: 'BLOCK',
    isHard: true,
    downgradeTo: null,
    waitForFundsMs: 1_000,
    rule,
    depth: 0,
    ...more,
  },
})
const window = { from: startMs, to: startMs + dayMs }
const isReserved = (funding: Funding | undefined): funding is LeaseReservation => funding instanceof LeaseReservation

/** A book with its journal, and a clock that stands still until it is moved. */
class Bench {
  readonly log = new LeaseLog()
  readonly calls: LeaseCall[] = []
  readonly incidents: string[] = []
  now: Moment = { atMs: 1_000, controlMs: startMs + 1_000, marginMs: 0 }
  wakeAtMs = 0
  book: PlaneBook
  #call = 0

  constructor(epoch = 1) {
    this.book = this.#open(epoch)
    this.book.linkOpened(epoch)
    this.turn()
    this.calls.length = 0
  }

  #open(epoch: number): PlaneBook {
    return new PlaneBook({ tenant, epoch, leases: this.log.of(tenant), nextCall: () => ++this.#call })
  }

  restart(epoch = 1): void {
    this.book = this.#open(epoch)
  }

  after(ms: number): this {
    this.now = { ...this.now, atMs: this.now.atMs + ms, controlMs: this.now.controlMs + ms }
    return this
  }

  /** One turn, its frames made durable. */
  turn(): Effects {
    const effects = this.book.turn(this.now)
    for (const frame of effects.frames) this.log.take(frame)
    if (effects.frames.length > 0) this.book.durable(effects.frames)
    this.calls.push(...effects.calls)
    this.incidents.push(...effects.incidents)
    this.wakeAtMs = effects.wakeAtMs
    return effects
  }

  /** Turns until nothing is due. */
  settle(): this {
    for (let turns = 0; turns < 20; turns++) {
      this.turn()
      if (!this.book.wantsTurn) return this
    }
    throw new Error('the book never rests')
  }

  known(budget: string, granted: bigint, more: { epoch?: number; returned?: bigint; posted?: bigint } = {}) {
    const { epoch = 1, returned = 0n, posted = 0n } = more
    return {
      ...{ budget, subject: null, window, epoch, mac: `mac ${granted}`, notBefore: window.from },
      ...{ granted: formatAmount(granted), returned: formatAmount(returned), posted: formatAmount(posted) },
    }
  }

  answer(call: LeaseCall | undefined, leases: ReturnType<Bench['known']>[]): void {
    this.book.answered(
      { type: 'leaseAnswer', call: call?.call ?? 0, tenant, leases, refused: null, short: [] },
      this.now,
    )
  }

  refuse(call: LeaseCall, short: { budget: string; missing: bigint; available: bigint }[]): void {
    const told = short.map(({ budget, missing, available }) => ({
      ...{ budget, subject: null, window, missing: formatAmount(missing), available: formatAmount(available) },
    }))
    this.book.answered(
      { type: 'leaseAnswer', call: call.call, tenant, leases: [], refused: 'SHORT', short: told },
      this.now,
    )
  }

  grant(budget: string, granted: bigint, epoch = 1): this {
    this.answer(undefined, [this.known(budget, granted, { epoch })])
    return this.settle()
  }

  fund(counters: BudgetCounter[], ceiling: bigint) {
    const asked: { funding?: Funding; leave: () => void } = { leave: () => undefined }
    const need = { tenant, counters, ceiling, atMs: this.now.controlMs }
    const waiter = this.book.fund(need, this.now, (funding) => (asked.funding = funding))
    if (waiter) asked.leave = () => this.book.leave(waiter)
    return asked
  }

  reserve(counters: BudgetCounter[], ceiling: bigint): Funding {
    return this.book.reserve({ tenant, counters, ceiling, atMs: this.now.controlMs }, this.now)
  }

  reserved(counters: BudgetCounter[], ceiling: bigint): LeaseReservation {
    const funding = this.reserve(counters, ceiling)
    if (!isReserved(funding)) throw new Error('there should have been money')
    return funding
  }

  /** The attempt has cost so much, and its record is in the journal. */
  spend(reservation: LeaseReservation, cost: bigint): void {
    this.log.post(tenant, this.book.post(reservation, cost))
    this.book.recorded(reservation)
  }

  lease(budget: string, epoch = 1) {
    return [...this.book.leases].find((lease) => lease.budget === budget && lease.epoch === epoch)
  }

  /** The newest call that wants something, and it. */
  get want(): (LeaseWant & { call: LeaseCall }) | undefined {
    const call = this.calls.findLast(({ wants }) => wants.length > 0)
    return call && { ...call.wants[0]!, call }
  }
}

const a = counter('bud_a')
const b = counter('bud_b')

describe('a plane’s book', () => {
  it('spends a grant only once it is durable', () => {
    const bench = new Bench()
    bench.answer(undefined, [bench.known('bud_a', 10n)])
    expect(isReserved(bench.reserve([a], 1n))).toBe(false)
    const { frames } = bench.book.turn(bench.now)
    expect(isReserved(bench.reserve([a], 1n))).toBe(false)
    bench.book.durable(frames)
    expect(isReserved(bench.reserve([a], 10n))).toBe(true)
    expect(isReserved(bench.reserve([a], 1n))).toBe(false)
  })

  it('reserves under all counters or under none', () => {
    const bench = new Bench().grant('bud_a', 10n).grant('bud_b', 5n)
    const short = bench.reserve([a, b], 6n)
    expect(short).toMatchObject({ short: [{ counter: b, missing: 1n, affordable: 5n, resetsAtMs: window.to }] })
    expect(bench.lease('bud_a')!.reserved).toBe(0n)
    bench.reserved([a, b], 5n)
    expect([bench.lease('bud_a')!.free, bench.lease('bud_b')!.free]).toEqual([5n, 0n])
  })

  it('keeps a reservation until its record is in the journal, since a crash would charge its ceiling', () => {
    const bench = new Bench().grant('bud_a', 10n)
    const reservation = bench.reserved([a], 10n)
    bench.book.post(reservation, 2n)
    expect(isReserved(bench.reserve([a], 1n))).toBe(false)
    bench.book.recorded(reservation)
    expect(isReserved(bench.reserve([a], 8n))).toBe(true)
    expect(isReserved(bench.reserve([a], 1n))).toBe(false)
  })

  it('posts a cost above its reservation in full, and reserves nothing until more is granted', () => {
    const bench = new Bench().grant('bud_a', 10n)
    const reservation = bench.reserved([a], 6n)
    const postings = bench.book.post(reservation, 25n)
    expect(postings).toEqual([{ amount: formatAmount(25n), budget: 'bud_a', leaseEpoch: 1, subject: null, window }])
    bench.book.recorded(reservation)
    expect(bench.lease('bud_a')!.free).toBe(-15n)
    expect(isReserved(bench.reserve([a], 1n))).toBe(false)
    expect(bench.settle().incidents).toHaveLength(1)
    bench.grant('bud_a', 26n)
    expect(isReserved(bench.reserve([a], 1n))).toBe(true)
  })

  it('posts what only warns under no lease, by the window of its own rule, and never lacks money for it', () => {
    const bench = new Bench()
    const warning = counter('bud_w', { isHard: false })
    const reservation = bench.reserved([warning], 5n)
    expect(bench.book.post(reservation, 7n)).toEqual([
      { amount: formatAmount(7n), budget: 'bud_w', leaseEpoch: 0, subject: null, window },
    ])
  })

  it('asks for what is missing, and serves who asked first', () => {
    const bench = new Bench().grant('bud_a', 4n)
    const one = bench.fund([a, b], 6n)
    const two = bench.fund([a], 3n)
    bench.settle()
    expect(bench.calls).toHaveLength(1)
    expect(bench.want!.call.wants.map(({ budget, missing }) => [budget, missing])).toEqual([
      ['bud_a', formatAmount(2n)],
      ['bud_b', formatAmount(6n)],
    ])
    bench.answer(bench.want!.call, [bench.known('bud_a', 6n), bench.known('bud_b', 6n)])
    bench.settle()
    expect(isReserved(one.funding)).toBe(true)
    expect(two.funding).toBeUndefined()
    expect(bench.want).toMatchObject({ budget: 'bud_a', missing: formatAmount(3n) })
  })

  it('waits for money at the control plane after a first no, and takes the second for an answer', () => {
    const bench = new Bench()
    const asked = bench.fund([a], 6n)
    bench.settle()
    expect(bench.want!.call.waitMs).toBe(0)
    bench.refuse(bench.want!.call, [{ budget: 'bud_a', missing: 6n, available: 1n }])
    bench.after(200).settle()
    expect(bench.want!.call.waitMs).toBe(800)
    expect(asked.funding).toBeUndefined()
    bench.after(800)
    bench.refuse(bench.want!.call, [{ budget: 'bud_a', missing: 6n, available: 1n }])
    expect(asked.funding).toEqual({ short: [{ counter: a, missing: 5n, affordable: 1n, resetsAtMs: window.to }] })
  })

  it('is served by what comes free here', () => {
    const bench = new Bench().grant('bud_a', 10n)
    const held = bench.reserved([a], 10n)
    const asked = bench.fund([a], 6n)
    bench.settle()
    bench.spend(held, 1n)
    expect(bench.book.wantsTurn).toBe(true)
    bench.settle()
    expect(isReserved(asked.funding)).toBe(true)
  })

  it('lets nobody pass one that waits, for a while; then a smaller one may', () => {
    const bench = new Bench().grant('bud_a', 3n)
    const big = bench.fund([a], 10n)
    bench.settle()
    const small = bench.fund([a], 1n)
    bench.settle()
    expect(small.funding).toBeUndefined()
    bench.refuse(bench.want!.call, [{ budget: 'bud_a', missing: 7n, available: 0n }])
    bench.after(251).settle()
    expect(isReserved(small.funding)).toBe(true)
    expect(big.funding).toBeUndefined()
  })

  it('does not hold up a budget because one below it is empty', () => {
    const bench = new Bench().grant('bud_a', 100n)
    bench.fund([a, b], 10n)
    bench.settle()
    expect(isReserved(bench.reserve([a], 90n))).toBe(true)
  })

  it('is told at once where nobody can be asked, also when the link ends meanwhile', () => {
    const bench = new Bench()
    const asked = bench.fund([a], 6n)
    bench.settle()
    bench.book.linkClosed(bench.now)
    expect(asked.funding).toMatchObject({ reason: 'UNREACHABLE' })
    expect(bench.fund([a], 6n).funding).toMatchObject({ reason: 'UNREACHABLE', short: [{ missing: 6n }] })
  })

  it('takes one that has left out of the line', () => {
    const bench = new Bench()
    const asked = bench.fund([a], 6n)
    bench.settle()
    asked.leave()
    bench.answer(bench.want!.call, [bench.known('bud_a', 6n)])
    bench.settle()
    expect(asked.funding).toBeUndefined()
    expect(bench.lease('bud_a')).toMatchObject({ free: 6n, reserved: 0n })
  })

  it('gives everything back when nobody asks any more, and tells it once it is durable', () => {
    const bench = new Bench().grant('bud_a', 100n)
    bench.spend(bench.reserved([a], 10n), 5n)
    for (let second = 0; second < 30; second++) bench.after(1_000).settle()
    expect(bench.lease('bud_a')).toMatchObject({ free: 0n, reserved: 0n, posted: 5n, returned: 95n })
    expect(bench.calls.at(-1)!.leases).toMatchObject([{ returned: formatAmount(95n) }])
    expect(bench.calls.every(({ leases }) => leases.every(({ returned }) => returned !== undefined))).toBe(true)
  })

  it('speaks of money it gives back only when that is durable', () => {
    const bench = new Bench().grant('bud_a', 100n)
    const recall = {
      type: 'leaseRecall' as const,
      tenant,
      asks: [{ budget: 'bud_a', subject: null, amount: '1', forMs: 0 }],
    }
    bench.book.recalled(recall, bench.now)
    const first = bench.book.turn(bench.now)
    expect(first.frames).toMatchObject([{ returned: formatAmount(100n) }])
    expect(first.calls).toEqual([])
    expect(isReserved(bench.reserve([a], 1n))).toBe(false)
    bench.book.durable(first.frames)
    expect(bench.book.turn(bench.now).calls).toMatchObject([{ leases: [{ returned: formatAmount(100n) }], wants: [] }])
  })

  it('answers a recall at once, also with nothing, and for a while gives back what comes free', () => {
    const bench = new Bench().grant('bud_a', 10n)
    const held = bench.reserved([a], 10n)
    const asks = [{ budget: 'bud_a', subject: null, amount: formatAmount(4n), forMs: 500 }]
    bench.book.recalled({ type: 'leaseRecall', tenant, asks }, bench.now)
    bench.settle()
    expect(bench.calls.at(-1)).toMatchObject({ leases: [{ returned: '0' }] })
    bench.spend(held, 1n)
    bench.settle()
    expect(bench.lease('bud_a')).toMatchObject({ returned: 4n, free: 5n })
  })

  it('ends the grants of an older epoch, gives back what is free of them and posts to them what is under way', () => {
    const bench = new Bench().grant('bud_a', 10n)
    const held = bench.reserved([a], 4n)
    bench.book.linkOpened(2)
    bench.settle()
    expect(bench.calls.find(({ whole }) => whole)).toMatchObject({ leases: [{ epoch: 1, granted: formatAmount(10n) }] })
    expect(bench.lease('bud_a')).toMatchObject({ returned: 6n, free: 0n, reserved: 4n })
    expect(isReserved(bench.reserve([a], 1n))).toBe(false)
    expect(bench.book.post(held, 3n)).toMatchObject([{ leaseEpoch: 1 }])
    bench.book.recorded(held)
    bench.settle()
    expect(bench.lease('bud_a')).toMatchObject({ returned: 7n, posted: 3n })
  })

  it('goes on without a link, after a restart too, on what its journal proves', () => {
    const bench = new Bench().grant('bud_a', 10n)
    bench.spend(bench.reserved([a], 4n), 3n)
    bench.restart()
    expect(isReserved(bench.reserve([a], 7n))).toBe(true)
    expect(isReserved(bench.reserve([a], 1n))).toBe(false)
  })

  it('forgets a lease only when the control plane knows all of how it ended', () => {
    const bench = new Bench().grant('bud_a', 10n)
    bench.spend(bench.reserved([a], 4n), 3n)
    bench.after(dayMs).settle()
    expect(bench.lease('bud_a')).toMatchObject({ returned: 7n })
    bench.answer(undefined, [bench.known('bud_a', 10n, { returned: 7n, posted: 0n })])
    bench.settle()
    expect(bench.lease('bud_a')).toBeDefined()
    bench.answer(undefined, [bench.known('bud_a', 10n, { returned: 7n, posted: 3n })])
    bench.settle()
    expect(bench.lease('bud_a')).toBeUndefined()
    expect(bench.log.of(tenant)).toEqual([])
  })

  it('touches no window near its ends while its clock is far off', () => {
    const bench = new Bench().grant('bud_a', 10n)
    bench.now = { ...bench.now, controlMs: window.to - 4_000 }
    expect(isReserved(bench.reserve([a], 1n))).toBe(true)
    bench.now = { ...bench.now, marginMs: 5_000 }
    expect(isReserved(bench.reserve([a], 1n))).toBe(false)
    expect(bench.fund([a], 1n).funding).toMatchObject({ reason: 'UNREACHABLE' })
  })

  it('gives back the money of a budget that is no more', () => {
    const bench = new Bench().grant('bud_a', 10n).grant('bud_b', 10n)
    bench.book.budgetsAre(new Set(['bud_b']))
    bench.settle()
    expect([bench.lease('bud_a')!.free, bench.lease('bud_b')!.free]).toEqual([0n, 10n])
  })

  it('asks ahead before the money runs out, and for the next window before it begins', () => {
    const bench = new Bench().grant('bud_a', 10_000n)
    for (let second = 0; second < 20; second++) {
      bench.spend(bench.reserved([a], 300n), 290n)
      bench.after(1_000).settle()
    }
    expect(bench.want).toMatchObject({ budget: 'bud_a', missing: '0', next: false })
    expect(parseAmount(bench.want!.perSecond)!).toBeGreaterThan(200n)
    bench.answer(bench.want!.call, [bench.known('bud_a', 100_000n)])
    bench.now = { ...bench.now, controlMs: window.to - 50_000 }
    bench.spend(bench.reserved([a], 300n), 290n)
    bench.after(1_000).settle()
    expect(bench.want!.call.wants).toContainEqual(expect.objectContaining({ missing: '0', next: true }))
  })

  it('is drained when everything was given back and the control plane knows', () => {
    const bench = new Bench().grant('bud_a', 10n)
    bench.book.drain()
    bench.settle()
    expect(bench.book.isDrained).toBe(false)
    bench.answer(bench.calls.at(-1), [bench.known('bud_a', 10n, { returned: 10n })])
    bench.settle()
    expect(bench.book.isDrained).toBe(true)
  })
})

const step = fc.oneof(
  fc.record({
    does: fc.constant('grant' as const),
    budget: fc.constantFrom('bud_a', 'bud_b'),
    total: fc.bigInt(0n, 60n),
  }),
  fc.record({ does: fc.constant('reserve' as const), both: fc.boolean(), ceiling: fc.bigInt(0n, 12n) }),
  fc.record({ does: fc.constant('spend' as const), cost: fc.bigInt(0n, 14n) }),
  fc.record({ does: fc.constant('recall' as const), amount: fc.bigInt(0n, 20n) }),
  fc.record({ does: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 20_000 }) }),
  fc.record({ does: fc.constant('link' as const) }),
  fc.record({ does: fc.constant('restart' as const) }),
)

describe('whatever happens to a plane’s book', () => {
  it('reserves no more than it holds, lowers no total, and comes back from its journal as it was', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        let epoch = 1
        const bench = new Bench()
        const open: LeaseReservation[] = []
        const totals = new Map<string, bigint[]>()
        for (const each of steps) {
          if (each.does === 'grant') bench.grant(each.budget, each.total, epoch)
          else if (each.does === 'reserve') {
            const funding = bench.reserve(each.both ? [a, b] : [a], each.ceiling)
            if (isReserved(funding)) open.push(funding)
          } else if (each.does === 'spend') {
            const reservation = open.shift()
            if (reservation) bench.spend(reservation, each.cost)
          } else if (each.does === 'recall') {
            const asks = [{ budget: 'bud_a', subject: null, amount: formatAmount(each.amount), forMs: 1_000 }]
            bench.book.recalled({ type: 'leaseRecall', tenant, asks }, bench.now)
          } else if (each.does === 'wait') bench.after(each.ms)
          else if (each.does === 'link') bench.book.linkOpened(++epoch)
          else {
            // What was under way is charged at its ceiling.
            for (const reservation of open.splice(0)) bench.log.post(tenant, reservation.atCeiling())
            bench.restart(epoch)
            bench.book.linkOpened(++epoch)
          }
          bench.settle()
          for (const lease of bench.book.leases) {
            const { granted, returned, posted, reserved, free } = lease
            expect(free).toBe(granted - returned - posted - reserved)
            const before = totals.get(leaseKey(lease)) ?? [0n, 0n, 0n]
            expect([granted >= before[0]!, returned >= before[1]!, posted >= before[2]!]).toEqual([true, true, true])
            totals.set(leaseKey(lease), [granted, returned, posted])
          }
          const kept = bench.log.of(tenant).filter(({ granted }) => granted > 0n)
          for (const lease of kept) {
            const held = [...bench.book.leases].find((one) => leaseKey(one) === leaseKey(lease))!
            expect([held.granted, held.returned, held.posted]).toEqual([lease.granted, lease.returned, lease.posted])
          }
        }
      }),
      { numRuns: 300 },
    )
  })

  it('comes to the same totals in whatever order answers arrive, and however often', () => {
    const answers = fc.array(fc.record({ granted: fc.bigInt(0n, 50n), returned: fc.bigInt(0n, 0n) }), {
      minLength: 1,
      maxLength: 8,
    })
    fc.assert(
      fc.property(answers, fc.infiniteStream(fc.nat()), (given, order) => {
        const lead = (list: typeof given) => {
          const bench = new Bench()
          for (const { granted } of list) bench.grant('bud_a', granted)
          const { granted, returned, free, mac } = bench.lease('bud_a')!
          return { granted, returned, free, mac }
        }
        const keys = order[Symbol.iterator]()
        const shuffled = [...given, ...given.slice(0, 3)]
          .map((value) => ({ value, at: keys.next().value as number }))
          .sort((one, other) => one.at - other.at)
          .map(({ value }) => value)
        expect(lead(shuffled)).toEqual(lead(given))
      }),
      { numRuns: 100 },
    )
  })
})

describe('counters that only warn', () => {
  it('are let go of once nobody was counted by them for a while, however many label values there were', () => {
    const bench = new Bench()
    bench.settle()
    for (let at = 0; at < 1_000; at++) {
      const { of } = counter('warns', { action: 'WARN', isHard: false })
      const need = { tenant, counters: [{ of, subject: `value-${at}` }], ceiling: 5n, atMs: 0, exchange: `x${at}` }
      const reservation = bench.book.reserve(need, bench.now)
      if (!isReserved(reservation)) throw new Error('a budget that warns is never short')
      bench.book.post(reservation, 5n)
      bench.book.recorded(reservation)
    }
    expect(bench.book.wantsTurn).toBe(true)
    bench.settle()
    expect(bench.book.counters).toBe(1_000)
    for (let seconds = 0; seconds < 40 && bench.wakeAtMs < Number.POSITIVE_INFINITY; seconds++)
      bench.after(bench.wakeAtMs - bench.now.atMs).settle()
    expect(bench.book.counters).toBe(0)
  })
})

describe('a tenant that holds very many leases', () => {
  it('leaves room for those of others at the same instance', () => {
    const room = { left: 4_000 }
    let calls = 0
    const leases = Array.from({ length: 2_500 }, (_, at) => ({
      ...newTotals({ budget: 'a', subject: `value-${at}`, window, epoch: 1 }),
      ...{ granted: 5n, mac: 'm' },
    }))
    const asks = (held: typeof leases) => {
      const book = new PlaneBook({ tenant, epoch: 1, leases: held, nextCall: () => ++calls, room })
      const now = { atMs: 1_000, controlMs: startMs + 1_000, marginMs: 0 }
      book.linkOpened(1)
      book.turn(now)
      const need = { tenant, counters: [{ ...counter('a'), subject: 'new' }], ceiling: 5n, atMs: 0, exchange: 'x' }
      book.fund(need, now, () => {})
      return book.turn(now).calls.some(({ wants }) => wants.length > 0)
    }
    expect([asks(leases), asks([])]).toEqual([false, true])
  })
})
