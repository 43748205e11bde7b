import type { Clock } from '../../../data-plane/ports.ts'
import type { Moment } from './moment.ts'

/** With an offset beyond this the own clock is not trusted near the ends of windows. */
export const offsetMsMax = 5_000

/**
 * The control plane's clock, as it was last measured, carried on by the clock that never goes back. Before the first measurement it
 * is the machine's own. One object tells the moment, again and again: who keeps it copies it.
 */
export class ControlClock {
  readonly #clock: Clock
  readonly #moment = { atMs: 0, controlMs: 0, marginMs: 0 }
  /** Control plane's time at 0 of the monotonic clock. */
  #originMs: number | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  now(): Moment {
    const moment = this.#moment
    moment.atMs = this.#clock.monotonic()
    moment.controlMs = this.#originMs === undefined ? this.#clock.now() : this.#originMs + moment.atMs
    return moment
  }

  /** The control plane's clock minus the machine's, just measured. */
  measured(offsetMs: number): void {
    this.#originMs = this.#clock.now() + offsetMs - this.#clock.monotonic()
    this.#moment.marginMs = Math.abs(offsetMs) > offsetMsMax ? offsetMsMax : 0
  }
}
