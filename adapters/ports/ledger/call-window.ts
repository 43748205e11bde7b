import type { LeaseCall } from '../../../schema/link-lease.ts'

/** Calls of one link without an answer: half of what a control plane takes. */
export const underWayMax = 128
/** Of them, calls that wait for money there: those of one tenant must not keep the asking of others from being answered. */
const waitingMax = underWayMax / 2
/** Calls that wait to be sent; one that is dropped is taken for lost, and its book reports anew. */
const queuedMax = 20_000

/** The calls of one link: so many at a time, those that ask for money before those that only report. */
export class CallWindow {
  readonly #send: (call: LeaseCall) => void
  readonly #underWay = new Set<number>()
  /** Those under way that wait for money. */
  readonly #waiting = new Set<number>()
  readonly #asks: LeaseCall[] = []
  readonly #waits: LeaseCall[] = []
  readonly #reports: LeaseCall[] = []

  constructor(send: (call: LeaseCall) => void) {
    this.#send = send
  }

  push(call: LeaseCall): void {
    const asks = call.waitMs > 0 ? this.#waits : this.#asks
    const queue = call.wants.length > 0 ? asks : this.#reports
    if (queue.length < queuedMax) queue.push(call)
    this.#pump()
  }

  answered(call: number): void {
    this.#waiting.delete(call)
    if (this.#underWay.delete(call)) this.#pump()
  }

  #pump(): void {
    while (this.#underWay.size < underWayMax) {
      const mayWait = this.#waiting.size < waitingMax
      const call = this.#asks.shift() ?? (mayWait ? this.#waits.shift() : undefined) ?? this.#reports.shift()
      if (!call) return
      this.#underWay.add(call.call)
      if (call.waitMs > 0) this.#waiting.add(call.call)
      this.#send(call)
    }
  }
}
