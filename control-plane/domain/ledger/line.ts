/** Calls that may wait under one counter; more are told at once that it is short. */
export const waitingMax = 1_000

/**
 * Who waits for money: first come, first served under each counter. A call waits in one line for each counter that it wants
 * money of, and is first where nobody came before it in any of them.
 */
export class Line<Ticket> {
  readonly #lines = new Map<string, Set<Ticket>>()
  readonly #counters = new Map<Ticket, string[]>()

  /** False where too many wait already. */
  join(ticket: Ticket, counters: readonly string[]): boolean {
    if (counters.some((counter) => (this.#lines.get(counter)?.size ?? 0) >= waitingMax)) return false
    this.#counters.set(ticket, [...counters])
    for (const counter of counters) {
      const line = this.#lines.get(counter) ?? new Set()
      this.#lines.set(counter, line.add(ticket))
    }
    return true
  }

  /** Whether anybody but this one waits under a counter. */
  isWaitedFor(counter: string, except?: Ticket): boolean {
    const line = this.#lines.get(counter)
    return line !== undefined && line.size > (except !== undefined && line.has(except) ? 1 : 0)
  }

  isFirst(ticket: Ticket): boolean {
    const counters = this.#counters.get(ticket) ?? []
    return counters.every((counter) => this.#lines.get(counter)?.values().next().value === ticket)
  }

  leave(ticket: Ticket): void {
    for (const counter of this.#counters.get(ticket) ?? []) {
      const line = this.#lines.get(counter)
      line?.delete(ticket)
      if (line?.size === 0) this.#lines.delete(counter)
    }
    this.#counters.delete(ticket)
  }

  /** Those that nobody waits in front of. */
  get first(): Ticket[] {
    return [...this.#counters.keys()].filter((ticket) => this.isFirst(ticket))
  }
}
