import type { RecordDecision, RecordMeter } from '../../schema/flight-record.ts'
import type { Refusal } from '../../schema/refusals.ts'
import type { TokenCeiling } from '../codecs/codec.ts'
import { type CountedLabels, countersAt, countersOf, type Place, type StandingCounters } from '../counters/book.ts'
import type { LimitCounter, RunningLimit } from './book.ts'
import { decisionsOf } from './decisions.ts'
import { countsTokens, type LimitAnswer, type Limiter, type LimitStanding } from './limiter.ts'
import { limitsAway, overLimit } from './refusal.ts'
import { unitsOf, usedOf } from './units.ts'

/** Attempts' own standings, to be settled with the attempt. */
export type Standings = readonly LimitStanding[]

const none: Standings = Object.freeze([])

/**
 * One request before its rate limits: those that its key and labels settle are asked once, those of a provider, model, tier or
 * credential for each attempt. Made only where there are limits.
 */
export class Admission {
  /** The newest answer of every counter that was asked. */
  readonly standings = new Map<LimitCounter, LimitStanding>()
  #held: LimitStanding[] = []
  #topUps: LimitStanding[] = []

  constructor(
    readonly limiter: Limiter,
    readonly tenant: string,
    readonly standing: StandingCounters<RunningLimit>,
    readonly labels: CountedLabels,
  ) {}

  /** Asks the limits that are settled before a place is chosen. `ceiling` is worked out only where tokens are counted. */
  async open(ceiling: () => TokenCeiling): Promise<Refusal | undefined> {
    const counters = countersOf(this.standing, this.labels)
    if (counters.length === 0) return undefined
    const bound = counters.some(({ of }) => countsTokens(of)) ? ceiling() : unbounded
    const held = await this.#take(counters, (limit) => unitsOf(limit, bound))
    if ('refused' in held) return held
    this.#held = [...held]
    return undefined
  }

  /** Whether an attempt has limits to ask. `meters`: what the attempts before came to. */
  asksAttempts(meters: readonly RecordMeter[]): boolean {
    return this.standing.placed.length > 0 || (meters.length > 0 && this.#held.length > 0)
  }

  /** Asks what an attempt needs before it is made. What was taken of its place's limits is settled with it (`end`). */
  async attempt(place: Place, ceiling: TokenCeiling, meters: readonly RecordMeter[]): Promise<Standings | Refusal> {
    const short = await this.#topUp(meters)
    if (short) return short
    const counters = countersAt(this.standing, this.labels, place)
    return counters.length === 0 ? none : this.#take(counters, (limit) => unitsOf(limit, ceiling))
  }

  /** What was reserved is for one attempt: where one was charged and another is made, what it came to is taken beside. */
  async #topUp(meters: readonly RecordMeter[]): Promise<Refusal | undefined> {
    const had = (counter: LimitCounter) => total(this.#topUps.filter((one) => one.counter === counter))
    const missing = (counter: LimitCounter) => usedOf(counter.of, meters) - had(counter)
    const counters = this.#held.map(({ counter }) => counter).filter(({ of }) => countsTokens(of))
    const short = counters.filter((counter) => missing(counter) > 0)
    if (short.length === 0) return undefined
    const by = new Map(short.map((counter) => [counter.of, missing(counter)]))
    const taken = await this.#take(short, (limit) => by.get(limit)!)
    if ('refused' in taken) return taken
    this.#topUps.push(...taken)
    return undefined
  }

  /** An attempt is over: its place's limits are corrected to what it came to. */
  end(standings: Standings, meters: readonly RecordMeter[]): void {
    if (standings.length > 0) this.limiter.settle(this.tenant, standings, ({ counter }) => usedOf(counter.of, meters))
  }

  /** The exchange is over: everything that was taken for it as a whole is corrected to what all attempts came to. */
  close(meters: readonly RecordMeter[]): void {
    const beside = this.#topUps
    const used = ({ counter, units }: LimitStanding) =>
      Math.max(
        0,
        usedOf(counter.of, meters) - total(beside.filter((one) => one.counter === counter && one.units !== units)),
      )
    if (beside.length > 0) this.limiter.settle(this.tenant, beside, ({ units }) => units)
    if (this.#held.length > 0) this.limiter.settle(this.tenant, this.#held, used)
    this.#held = []
    this.#topUps = []
  }

  /** For the record: one for each limit that was asked. */
  decisions(isRefused: boolean): RecordDecision[] {
    return decisionsOf([...this.standings.values()], isRefused)
  }

  async #take(counters: readonly LimitCounter[], units: (limit: RunningLimit) => number): Promise<Standings | Refusal> {
    const asks = counters.map((counter) => ({ counter, units: units(counter.of) }))
    const asked = this.limiter.take(this.tenant, asks)
    const answer: LimitAnswer = asked instanceof Promise ? await asked : asked
    if ('away' in answer) return limitsAway
    for (const standing of answer.standings) this.standings.set(standing.counter, standing)
    return answer.taken ? answer.standings : overLimit(answer.standings)
  }
}

/** Of limits that count no tokens nothing is asked about tokens. */
const unbounded: TokenCeiling = Object.freeze({ inputTokens: 0, outputTokens: 0 })

const total = (standings: Standings) => standings.reduce((sum, { units }) => sum + units, 0)
