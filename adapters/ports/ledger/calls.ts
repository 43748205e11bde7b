import {
  type HeldLease,
  type LeaseCall,
  type LeaseWant,
  leasesPerMessageMax,
  recallMsMax,
} from '../../../schema/link-lease.ts'
import type { AskKind, HeldCounter } from './held-counter.ts'
import type { Lease } from './lease.ts'
import type { Waiter } from './waiter.ts'

/** An answer that takes longer than it may is taken for lost. */
export const answerMsMax = 3_000

/** A call that was not answered yet. */
export interface CallUnderWay {
  readonly call: number
  /** 'report' wants nothing. */
  readonly kind: AskKind | 'report'
  readonly counters: readonly HeldCounter[]
  readonly leases: readonly Lease[]
  readonly waiter: Waiter | null
  readonly whole: boolean
  readonly lostAtMs: number
}

/** The calls of one link, from when they are written to when they are answered or lost. */
export class Calls {
  readonly #tenant: string
  readonly #nextNumber: () => number
  readonly #underWay = new Map<number, CallUnderWay>()
  /** Written, not yet taken to be sent. */
  #written: LeaseCall[] = []

  constructor(tenant: string, nextNumber: () => number) {
    this.#tenant = tenant
    this.#nextNumber = nextNumber
  }

  write(call: Omit<CallUnderWay, 'call' | 'lostAtMs'>, wants: LeaseWant[], waitMs: number, atMs: number): void {
    const number = this.#nextNumber()
    const { kind, counters, leases, waiter, whole } = call
    const lostAtMs = atMs + waitMs + recallMsMax + answerMsMax
    this.#underWay.set(number, { ...call, call: number, lostAtMs })
    if (kind !== 'report') for (const counter of counters) counter.under[kind] = number
    if (waiter) waiter.call = number
    const told: HeldLease[] = leases.slice(0, leasesPerMessageMax).map((lease) => lease.tell())
    this.#written.push({ type: 'leaseCall', call: number, tenant: this.#tenant, leases: told, whole, wants, waitMs })
  }

  /** What is to be sent now, in this order. */
  take(): LeaseCall[] {
    const written = this.#written
    this.#written = []
    return written
  }

  /** The call that this number names, which is over with it. */
  end(number: number): CallUnderWay | undefined {
    const call = this.#underWay.get(number)
    if (!call) return undefined
    this.#underWay.delete(number)
    if (call.kind !== 'report') {
      for (const counter of call.counters) if (counter.under[call.kind] === number) counter.under[call.kind] = 0
    }
    if (call.waiter?.call === number) call.waiter.call = 0
    return call
  }

  lost(atMs: number): CallUnderWay[] {
    const late = [...this.#underWay.values()].filter(({ lostAtMs }) => lostAtMs <= atMs)
    return late.map(({ call }) => this.end(call)!)
  }

  /** The link has ended, and everything under way with it. */
  endAll(): void {
    for (const number of [...this.#underWay.keys()]) this.end(number)
    this.#written = []
  }

  get nextLostMs(): number {
    let next = Number.POSITIVE_INFINITY
    for (const { lostAtMs } of this.#underWay.values()) next = Math.min(next, lostAtMs)
    return next
  }

  /** Whether a report of everything is under way. */
  get isReporting(): boolean {
    for (const { whole } of this.#underWay.values()) if (whole) return true
    return false
  }
}
