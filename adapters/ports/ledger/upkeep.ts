import { type LeaseWant, wantsPerCallMax } from '../../../schema/link-lease.ts'
import { formatAmount } from '../../../schema/money.ts'
import type { Calls } from './calls.ts'
import { horizonMs } from './demand.ts'
import type { HeldCounter } from './held-counter.ts'
import type { Lease } from './lease.ts'
import { smaller } from './lease-frame.ts'
import type { Moment } from './moment.ts'

/** A counter that nobody used for so long gives back all it holds. */
const idleMs = 15_000
/** Money beyond the need is given back at most so often. */
const trimEveryMs = 5_000
const renewEveryMs = 1_000
/** Where asking ahead brought too little. */
const renewAgainMs = 5_000
const nextEveryMs = 5_000

/**
 * One look at a counter, once in a while: what it needs from now on, and, where there is a link, what it holds too much of. Without
 * one the instance lives on what it holds.
 */
export function tickCounter(held: HeldCounter, now: Moment, elapsedMs: number, isLinked: boolean): void {
  held.demand.tick(elapsedMs)
  const reserved = held.reserved
  if (reserved > held.demand.peak) held.demand.peak = reserved
  const isIdle = now.atMs - held.lastUsedMs > idleMs && reserved === 0n && held.isQuiet
  if (isIdle) held.demand.rest()
  held.low = isIdle ? 0n : held.demand.low
  if (!isLinked) return
  if (isIdle) for (const lease of held.leases) giveBackAll(lease)
  else trim(held, now)
}

/** Money has come, and is given time to be used. */
export function noteGrant(held: HeldCounter, now: Moment): void {
  held.trimAfterMs = now.atMs + trimEveryMs
  if (held.lastUsedMs === 0) held.lastUsedMs = now.atMs
}

/** What was asked for ahead has come, or not: where it is still too little, there is not more. */
export function noteRenewed(held: HeldCounter, now: Moment): void {
  const lease = held.leaseAt(now)
  const unspent = lease ? lease.granted - lease.returned - lease.posted : 0n
  if (unspent < held.demand.over(horizonMs / 3)) held.renewAfterMs = now.atMs + renewAgainMs
}

/** There is not enough for those who wait: nothing is asked ahead for a while. */
export function noteShort(held: HeldCounter, now: Moment): void {
  held.renewAfterMs = Math.max(held.renewAfterMs, now.atMs + renewEveryMs)
}

/** What is held for later windows. True where there was anything. */
export function giveBackNext(held: HeldCounter, now: Moment): boolean {
  const ahead = held.leases.filter((lease) => lease.free > 0n && now.controlMs < lease.notBefore)
  for (const lease of ahead) giveBackAll(lease)
  return ahead.length > 0
}

/** Others wait for money here: what is given back is not asked for again meanwhile. */
export function noteRecall(held: HeldCounter, amount: bigint, forMs: number, now: Moment): void {
  held.recall = { left: amount, untilMs: now.atMs + forMs }
  held.renewAfterMs = held.recall.untilMs + renewEveryMs
}

/** Money beyond twice the need goes back, down to the need. */
function trim(held: HeldCounter, now: Moment): void {
  const need = held.demand.over(horizonMs)
  if (now.atMs < held.trimAfterMs || !held.isQuiet) return
  for (const lease of held.leases) {
    const unspent = lease.free + lease.reserved
    if (lease.free <= 0n || unspent <= 2n * need) continue
    lease.giveBack(smaller(unspent - need, lease.free))
    held.trimAfterMs = now.atMs + trimEveryMs
  }
}

function giveBackAll(lease: Lease): void {
  if (lease.free > 0n) lease.giveBack(lease.free)
}

/** Gives back what may not be used any more, and what others wait for. True where anything was. */
export function giveBackUnusable(held: HeldCounter, now: Moment, isDraining: boolean): void {
  for (const lease of held.leases)
    if (isDraining || held.isGone || lease.isFenced || lease.isOver(now)) giveBackAll(lease)
  if (!held.isRecalled(now.atMs)) return
  // The present window's first: what is held for the next helps nobody now, unless it is of the same ring.
  const present = held.leaseAt(now)
  for (const lease of present ? [present, ...held.leases] : held.leases) {
    const amount = smaller(lease.free, held.recall.left)
    if (amount <= 0n) continue
    lease.giveBack(amount)
    held.recall.left -= amount
  }
}

/** Asks ahead, under any number of counters, for what will be needed; nobody waits for the answer. */
export function askAhead(held: HeldCounter[], calls: Calls, now: Moment): void {
  const wants = held.flatMap((each) => wantsOf(each, now).map((want) => ({ each, want })))
  for (let at = 0; at < wants.length; at += wantsPerCallMax) {
    const some = wants.slice(at, at + wantsPerCallMax)
    const counters = [...new Set(some.map(({ each }) => each))]
    const leases = counters.flatMap((counter) => counter.leases.filter(({ isFenced }) => !isFenced))
    const call = { kind: 'renew', counters, leases, waiter: null, whole: false } as const
    calls.write(
      call,
      some.map(({ want }) => want),
      0,
      now.atMs,
    )
  }
}

function wantsOf(held: HeldCounter, now: Moment): LeaseWant[] {
  if (held.isAsking || held.isGone || held.recall.untilMs >= now.atMs) return []
  const wants: LeaseWant[] = []
  if (isLow(held, now)) wants.push(wantOf(held, false))
  if (isNextDue(held, now)) wants.push(wantOf(held, true))
  return wants
}

/** Less than about a third of the need is left. */
function isLow(held: HeldCounter, now: Moment): boolean {
  if (now.atMs < held.renewAfterMs || now.atMs - held.lastUsedMs > idleMs) return false
  const lease = held.leaseAt(now)
  const unspent = lease ? lease.free + lease.reserved : 0n
  if (lease?.isSaving || unspent >= held.demand.over(horizonMs / 3)) return false
  held.renewAfterMs = now.atMs + renewEveryMs
  return true
}

/** The window ends within a horizon, or a quarter of its own length, and nothing is held for the one after it. */
function isNextDue(held: HeldCounter, now: Moment): boolean {
  const lease = held.leaseAt(now)
  if (!lease || held.waiting > 0n || now.atMs < held.nextAfterMs || now.atMs - held.lastUsedMs > idleMs) return false
  const { from, to } = lease.window
  if (to - now.controlMs > Math.min(horizonMs, (to - from) / 4)) return false
  if (held.leases.some(({ window, isFenced }) => !isFenced && window.from >= to)) return false
  held.nextAfterMs = now.atMs + nextEveryMs
  return true
}

function wantOf({ budget, subject, demand }: HeldCounter, next: boolean): LeaseWant {
  return { budget, subject, missing: '0', perSecond: formatAmount(demand.statedPerSecond(0n)), next }
}
