import type { Moment } from '../../adapters/ports/ledger/moment.ts'
import type { Timeline } from './timeline.ts'

/** Beyond this a plane keeps away from the ends of windows by so much (`design/ledger.md`, Windows). */
const offsetMsMax = 5_000

/** A machine's clocks: one that is set, one that only runs, and what it knows of the control plane's. */
export class MachineClock {
  /** Of the wall clock, added to true time. */
  skewMs = 0
  #measured: { controlMs: number; atMs: number } | undefined

  constructor(
    readonly timeline: Timeline,
    readonly startMs: number,
    /** Of the clock that only runs: seconds a second. */
    readonly drift: number,
  ) {}

  get monotonicMs(): number {
    return this.timeline.nowMs * (1 + this.drift)
  }

  get wallMs(): number {
    return this.startMs + this.timeline.nowMs + this.skewMs
  }

  /** The control plane said what its clock shows; how long that took to arrive nobody knows. */
  heard(serverTimeMs: number): void {
    this.#measured = { controlMs: serverTimeMs, atMs: this.monotonicMs }
  }

  /** The process ended, and forgot. */
  forget(): void {
    this.#measured = undefined
  }

  get isMeasured(): boolean {
    return this.#measured !== undefined
  }

  get moment(): Moment {
    const atMs = this.monotonicMs
    const measured = this.#measured
    const controlMs = measured ? measured.controlMs + (atMs - measured.atMs) : this.wallMs
    const marginMs = Math.abs(controlMs - this.wallMs) > offsetMsMax ? offsetMsMax : 0
    return { atMs, controlMs: Math.floor(controlMs), marginMs }
  }
}
