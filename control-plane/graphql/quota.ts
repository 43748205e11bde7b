import type { Clock } from '../../schema/clock.ts'

/** Points of one caller in one minute: a hundred times the dearest document that is answered at all is five million. */
export const apiQuotaDefault = 2_000_000

const windowMs = 60_000
/** Callers that one minute is counted for one by one. All beyond share one count, so that memory is bounded. */
const callersMax = 10_000
const everyoneElse = ''

/** What an operation cost, and what its caller has left until `resetsAt`. */
export interface Charge {
  cost: number
  remaining: number
  limit: number
  resetsAt: Date
}

/**
 * Points per caller and minute of the clock, on this replica. All minutes begin together, so the whole count is let go of at
 * once and nothing has to be swept.
 */
export class Quota {
  readonly #clock: Clock
  readonly #limit: number
  readonly #spent = new Map<string, number>()
  #minute = 0

  constructor(clock: Clock, limit: number = apiQuotaDefault) {
    this.#clock = clock
    this.#limit = limit
  }

  /** Takes the points, or none where they are not there any more: then `remaining` is less than `cost`. */
  charge(caller: string, cost: number): Charge & { taken: boolean } {
    const minute = Math.floor(this.#clock.now() / windowMs)
    if (minute !== this.#minute) this.#spent.clear()
    this.#minute = minute
    const counted = this.#spent.has(caller) || this.#spent.size < callersMax ? caller : everyoneElse
    const before = this.#spent.get(counted) ?? 0
    const taken = before + cost <= this.#limit
    if (taken) this.#spent.set(counted, before + cost)
    const remaining = this.#limit - before - (taken ? cost : 0)
    return { cost, remaining, limit: this.#limit, resetsAt: new Date((minute + 1) * windowMs), taken }
  }
}
