import type { BudgetCounter } from '../../../data-plane/ports.ts'
import { HeldCounter } from './held-counter.ts'
import { Lease } from './lease.ts'
import { type LeaseName, type LeaseTotals, leaseKey, newTotals } from './lease-frame.ts'

/** How many more leases the instance may have: each stands at the begin of every journal segment. */
export interface LeaseRoom {
  left: number
}

/** The last of the room is for tenants that hold less than this. */
const keptForOthers = 2_000

/** Everything that an instance holds for one tenant, by counter and by lease. */
export class Holdings {
  readonly #room: LeaseRoom
  readonly #byBudget = new Map<string, Map<string | null, HeldCounter>>()
  readonly #leases = new Map<string, { lease: Lease; counter: HeldCounter }>()
  /** The configuration's own counter objects, which most requests share: found without looking at any text. */
  readonly #found = new WeakMap<BudgetCounter, HeldCounter>()

  constructor(room: LeaseRoom) {
    this.#room = room
  }

  /** No more is asked for: there is no room, or what is left of it is kept for other tenants. */
  get isFull(): boolean {
    return this.#room.left <= 0 || (this.#room.left <= keptForOthers && this.size >= keptForOthers)
  }

  of(counter: BudgetCounter): HeldCounter {
    const found = this.#found.get(counter)
    if (found && !found.isForgotten) return found
    const held = this.at(counter.of.id, counter.subject)
    this.#found.set(counter, held)
    return held
  }

  at(budget: string, subject: string | null): HeldCounter {
    const subjects = this.#byBudget.get(budget) ?? new Map<string | null, HeldCounter>()
    const held = subjects.get(subject) ?? new HeldCounter(budget, subject)
    this.#byBudget.set(budget, subjects.set(subject, held))
    return held
  }

  get counterCount(): number {
    let count = 0
    for (const subjects of this.#byBudget.values()) count += subjects.size
    return count
  }

  /** Undefined where nothing is held under it. */
  find(budget: string, subject: string | null): HeldCounter | undefined {
    return this.#byBudget.get(budget)?.get(subject)
  }

  *counters(): Iterable<HeldCounter> {
    for (const subjects of this.#byBudget.values()) yield* subjects.values()
  }

  *leases(): Iterable<Lease> {
    for (const { lease } of this.#leases.values()) yield lease
  }

  get size(): number {
    return this.#leases.size
  }

  findLease(name: LeaseName): { lease: Lease; counter: HeldCounter } | undefined {
    return this.#leases.get(leaseKey(name))
  }

  /** Undefined where there are too many. */
  addLease(name: LeaseName, totals: LeaseTotals = newTotals(name)) {
    if (this.#room.left <= 0) return undefined
    this.#room.left--
    const counter = this.at(name.budget, name.subject)
    const entry = { lease: new Lease(totals), counter }
    counter.add(entry.lease)
    this.#leases.set(leaseKey(name), entry)
    return entry
  }

  removeLease(counter: HeldCounter, lease: Lease): void {
    counter.remove(lease)
    this.#room.left++
    this.#leases.delete(leaseKey(lease))
  }

  /** Lets go of a counter under which nothing is held or waited for. */
  forget(counter: HeldCounter): void {
    counter.isForgotten = true
    const subjects = this.#byBudget.get(counter.budget)!
    subjects.delete(counter.subject)
    if (subjects.size === 0) this.#byBudget.delete(counter.budget)
  }
}
