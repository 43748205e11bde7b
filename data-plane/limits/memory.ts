import type { RunningLimit } from './book.ts'
import {
  correct,
  drain,
  type Level,
  type Mark,
  markOf,
  owe,
  type Part,
  type Rate,
  tickAt,
  ticksUntil,
  wholePart,
} from './gcra.ts'
import {
  countsTokens,
  type LimitAnswer,
  type LimitAsk,
  type Limiter,
  type LimitSharing,
  type LimitStanding,
} from './limiter.ts'
import { Parts, refit } from './parts.ts'

/** A counter: a bucket with its rate, or how many are under way. */
interface Counted {
  of: RunningLimit
  rate: Rate | null
  level: Level | null
  underWay: number
}

/** Far above any number of keys and label values that are active at once. */
const countersMax = 200_000
/** Counters are looked through for those that may be forgotten at most so often. */
const sweepMs = 1_000
/** When to come back is not known of what is under way, nor of a share that is still to be dealt. */
const unknownWaitMs = 1_000

/** What a counter owed, in grains of its span. */
export interface KeptCounter {
  limit: string
  subject: string | null
  span: number
  tickMs: number
  debt: number
}

export interface MemoryOptions {
  /** Milliseconds that never go back. */
  nowMs: () => number
  /** What may have been counted before is not known here: buckets begin empty. */
  beginsEmpty?: boolean
  /** What this instance has of every limit at first; none at all = nothing. */
  parts?: readonly Part[]
  countersMax?: number
}

/**
 * Counters of one process, in its memory. One that owes nothing and has nothing under way is forgotten when there are too many: that
 * changes no answer. Where all of them are in use, further ones are not admitted.
 */
export class MemoryLimiter implements Limiter {
  readonly #nowMs: () => number
  readonly #counters = new Map<string, Map<string | null, Counted>>()
  readonly #parts: Parts
  readonly #kept = new Map<string, Omit<KeptCounter, 'limit' | 'subject'> & { atMs: number }>()
  readonly #countersMax: number
  #count = 0
  #sweptMs = Number.NEGATIVE_INFINITY

  constructor({ nowMs, beginsEmpty = false, parts = [wholePart], countersMax: most = countersMax }: MemoryOptions) {
    this.#nowMs = nowMs
    this.#parts = new Parts(nowMs(), parts, beginsEmpty)
    this.#countersMax = most
  }

  get sharing(): LimitSharing {
    return this.#parts.present.every(({ of }) => of === 1) ? 'SINGLE_PLANE' : 'SHARES'
  }

  /** Counters that are kept now. */
  get size(): number {
    return this.#count
  }

  take(_tenant: string, asks: readonly LimitAsk[]): LimitAnswer {
    const nowMs = this.#nowMs()
    const counted: Counted[] = []
    const waits: number[] = []
    let isRefused = false
    for (const { counter, units } of asks) {
      const one = this.#counted(counter.of, counter.subject, nowMs)
      if (!one) return { away: 'More counters of rate limits are in use than are kept.' }
      const waitMs = this.#waitMs(one, units)
      counted.push(one)
      waits.push(waitMs)
      if (waitMs > 0 && counter.of.isEnforced) isRefused = true
    }
    const standings = asks.map((ask, index) => this.#stand(ask, counted[index]!, waits[index]!, isRefused))
    return { taken: !isRefused, standings }
  }

  settle(_tenant: string, standings: readonly LimitStanding[], usedOf: (standing: LimitStanding) => number): void {
    for (const standing of standings) {
      if (!standing.taken) continue
      const { of, subject } = standing.counter
      const one = this.#counters.get(of.id)?.get(subject)
      if (one && one.rate === null) one.underWay = Math.max(0, one.underWay - 1)
      else if (countsTokens(of)) this.#correct(of, subject, standing.taken, standing.units, usedOf(standing))
    }
  }

  /** From now on this instance has so much of every limit. */
  deal(parts: readonly Part[]): void {
    const nowMs = this.#nowMs()
    this.#parts.deal(nowMs, parts)
    for (const subjects of this.#counters.values())
      for (const one of subjects.values()) if (one.rate) this.#fit(one, this.#parts.rate(one.of), nowMs)
  }

  /** True where nowhere more is under way than this instance's part. */
  get isWithinParts(): boolean {
    for (const subjects of this.#counters.values())
      for (const { of, rate, underWay } of subjects.values())
        if (rate === null && underWay > this.#parts.concurrency(of)) return false
    return true
  }

  /** What is owed now, to be kept while the process is not there. */
  standing(): KeptCounter[] {
    const nowMs = this.#nowMs()
    return [...this.#counters].flatMap(([limit, subjects]) =>
      [...subjects].flatMap(([subject, { rate, level }]) => {
        if (!rate || !level) return []
        drain(level, rate, tickAt(rate, nowMs))
        return level.debt === 0 ? [] : [{ limit, subject, span: rate.span, tickMs: rate.tickMs, debt: level.debt }]
      }),
    )
  }

  /** Takes up what was owed so long ago. What flowed back since is counted once the limit is known again. */
  restore(counters: readonly KeptCounter[], agoMs: number): void {
    for (const { limit, subject, ...owed } of counters)
      this.#kept.set(`${limit} ${subject ?? ''}`, { ...owed, atMs: this.#nowMs() - agoMs })
  }

  #restored(of: RunningLimit, subject: string | null, rate: Rate, nowMs: number): Level {
    const level = this.#parts.idle(of, nowMs)
    const name = `${of.id} ${subject ?? ''}`
    const owed = this.#kept.get(name)
    if (!owed) return level
    this.#kept.delete(name)
    const then = { ...rate, span: owed.span, tickMs: owed.tickMs, capacity: (rate.capacity / rate.span) * owed.span }
    const kept = { debt: owed.debt, tick: tickAt(then, owed.atMs), removed: 0, born: 0 }
    refit(kept, then, rate, nowMs)
    level.debt = Math.max(level.debt, kept.debt)
    return level
  }

  #waitMs({ of, rate, level, underWay }: Counted, units: number): number {
    if (!rate) return underWay + units > this.#parts.concurrency(of) ? unknownWaitMs : 0
    const ticks = ticksUntil(level!, rate, units)
    return rate.capacity === 0 && ticks > 0 ? unknownWaitMs : ticks * rate.tickMs
  }

  #stand(ask: LimitAsk, one: Counted, waitMs: number, isRefused: boolean): LimitStanding {
    const { rate, level } = one
    const takes = waitMs === 0 && !isRefused
    const { counter, units } = ask
    if (!rate) {
      if (takes) one.underWay += units
      const left = Math.max(0, this.#parts.concurrency(one.of) - one.underWay)
      return { counter, units, isOver: waitMs > 0, waitMs, left, fullMs: 0, taken: takes ? nothing : null }
    }
    if (takes) owe(level!, rate, units)
    const left = Math.max(0, Math.floor((rate.capacity - level!.debt) / rate.span))
    const fullMs = rate.limit === 0 ? 0 : Math.ceil(level!.debt / rate.limit) * rate.tickMs
    const taken = takes && countsTokens(one.of) ? markOf(level!) : null
    return { counter, units, isOver: waitMs > 0, waitMs, left, fullMs, taken }
  }

  /** What was used beyond what was reserved is owed even where the counter was forgotten meanwhile. */
  #correct(of: RunningLimit, subject: string | null, mark: Mark, units: number, used: number): void {
    const nowMs = this.#nowMs()
    const known = this.#counters.get(of.id)?.get(subject)
    const one = known ?? (used > units ? this.#counted(of, subject, nowMs) : undefined)
    if (!one?.rate || !one.level) return
    drain(one.level, one.rate, tickAt(one.rate, nowMs))
    correct(one.level, one.rate, mark, units, used)
  }

  /** The counter, brought up to now; undefined where there is no room for one more. */
  #counted(of: RunningLimit, subject: string | null, nowMs: number): Counted | undefined {
    let subjects = this.#counters.get(of.id)
    if (!subjects) {
      subjects = new Map()
      this.#counters.set(of.id, subjects)
    }
    const known = subjects.get(subject)
    if (known) return this.#current(known, of, nowMs)
    if (this.#count >= this.#countersMax && !this.#sweep(nowMs)) return undefined
    const rate = of.rate && this.#parts.rate(of)
    const made: Counted = { of, rate, level: rate && this.#restored(of, subject, rate, nowMs), underWay: 0 }
    // The sweep may have dropped this limit's map, being empty.
    this.#counters.set(of.id, subjects)
    subjects.set(subject, made)
    this.#count++
    return made
  }

  #current(one: Counted, of: RunningLimit, nowMs: number): Counted {
    if (one.of !== of) this.#redeclare(one, of, nowMs)
    if (one.rate) drain(one.level!, one.rate, tickAt(one.rate, nowMs))
    return one
  }

  /** The same limit in a newer snapshot. */
  #redeclare(one: Counted, of: RunningLimit, nowMs: number): void {
    one.of = of
    const rate = of.rate && this.#parts.rate(of)
    if (rate && one.rate) this.#fit(one, rate, nowMs)
    else Object.assign(one, { rate, level: rate && this.#parts.idle(of, nowMs) })
  }

  #fit(one: Counted, rate: Rate, nowMs: number): void {
    const from = one.rate!
    one.rate = rate
    if (
      rate.limit !== from.limit ||
      rate.capacity !== from.capacity ||
      rate.span !== from.span ||
      rate.tickMs !== from.tickMs
    )
      refit(one.level!, from, rate, nowMs)
  }

  /** Forgets what changes no answer; true where there is room then. */
  #sweep(nowMs: number): boolean {
    if (nowMs - this.#sweptMs < sweepMs) return false
    this.#sweptMs = nowMs
    for (const [id, subjects] of this.#counters) {
      for (const [subject, one] of subjects) {
        if (one.rate) drain(one.level!, one.rate, tickAt(one.rate, nowMs))
        if (one.underWay > 0 || (one.level && one.level.debt > 0)) continue
        subjects.delete(subject)
        this.#count--
      }
      if (subjects.size === 0) this.#counters.delete(id)
    }
    return this.#count < this.#countersMax
  }
}

/** Of what is under way there is nothing to correct. */
const nothing: Mark = Object.freeze({ tick: 0, debt: 0, removed: 0 })
