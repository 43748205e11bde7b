import type { CounterShortage, ReservationNeed, Shortage } from '../../../data-plane/ports.ts'
import { endOfTime } from '../../../schema/budget-window.ts'
import type { HeldCounter } from './held-counter.ts'
import type { Holdings } from './holdings.ts'
import { Lease } from './lease.ts'
import { larger } from './lease-frame.ts'
import type { Moment } from './moment.ts'
import { LeaseReservation, type Source } from './reservation.ts'

/** What each counter would be posted under; undefined where one of them lacks money, or others wait for it there. */
export function sourcesFor(
  holdings: Holdings,
  { counters, ceiling }: ReservationNeed,
  now: Moment,
  passesLine: boolean,
): Source[] | undefined {
  const sources = new Array<Source>(counters.length)
  for (let at = 0; at < counters.length; at++) {
    const counter = counters[at]!
    const held = holdings.of(counter)
    const lease = counter.of.isHard ? held.leaseAt(now) : undefined
    if (lease !== undefined && (ceiling === 0n || lease.free >= ceiling)) {
      if (!passesLine && !isOpenTo(held, lease, ceiling, now)) return undefined
      sources[at] = lease
    } else if (counter.of.isHard && ceiling > 0n) return undefined
    else sources[at] = held.windowAt(counter.of.rule, now.controlMs)
  }
  return sources
}

/** Nobody who came before has a claim to it. */
function isOpenTo(held: HeldCounter, lease: Lease, ceiling: bigint, now: Moment): boolean {
  if (held.lineUntilMs > now.atMs) return false
  return held.pledged === 0n || lease.free - held.pledged >= ceiling
}

/** Takes the ceiling from every lease. */
export function takeFrom(holdings: Holdings, need: ReservationNeed, sources: Source[], now: Moment): LeaseReservation {
  const { counters, ceiling } = need
  for (let at = 0; at < sources.length; at++) {
    const source = sources[at]!
    const held = holdings.of(counters[at]!)
    held.lastUsedMs = now.atMs
    if (!(source instanceof Lease)) continue
    source.reserve(ceiling)
    if (source.reserved > held.demand.peak) held.demand.peak = source.reserved
  }
  return new LeaseReservation(need, sources)
}

/** What is missing here under one counter; never negative. */
export function missingAt(held: HeldCounter, ceiling: bigint, now: Moment): bigint {
  return larger(0n, ceiling - (held.leaseAt(now)?.free ?? 0n))
}

/** What is missing as far as this instance knows. With a `reason` nobody could be asked. */
export function shortageHere(
  holdings: Holdings,
  { counters, ceiling }: ReservationNeed,
  now: Moment,
  reason?: Shortage['reason'],
): Shortage {
  const short: CounterShortage[] = []
  for (const counter of counters) {
    if (!counter.of.isHard) continue
    const held = holdings.of(counter)
    const missing = missingAt(held, ceiling, now)
    const { to } = held.leaseAt(now)?.window ?? held.windowAt(counter.of.rule, now.controlMs)
    if (missing > 0n || held.lineUntilMs > now.atMs || held.pledged > 0n)
      short.push({ counter, missing, affordable: larger(0n, ceiling - missing), resetsAtMs: resetAt(to) })
  }
  return reason ? { short, reason } : { short }
}

export const resetAt = (to: number) => (to >= endOfTime ? null : to)
