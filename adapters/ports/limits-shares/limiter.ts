import type { Part } from '../../../data-plane/limits/gcra.ts'
import type { LimitAnswer, LimitAsk, Limiter, LimitSharing, LimitStanding } from '../../../data-plane/limits/limiter.ts'
import { MemoryLimiter } from '../../../data-plane/limits/memory.ts'
import type { Shares, SharesTaken } from '../../../schema/link-shares.ts'
import type { LinkedShares } from '../link-session.ts'
import type { KeptShares, ShareFiles } from './files.ts'

export interface SharesOptions {
  files: ShareFiles
  clock: { now(): number; monotonic(): number }
}

/** How often a deal that is not yet in force is looked at again. */
const lookAgainMs = 50
/** More deals than these that were never settled leave nothing. */
const unsettledMax = 16
const noShares: LimitAnswer = { away: 'The shares of rate limits have not been dealt yet.' }

interface Dealt {
  limiter: MemoryLimiter
  parts: readonly Part[]
  deal: number
}

/**
 * Counters in this instance's memory, of its own part of every limit: the control plane deals it. Until it has, nothing that has
 * limits is admitted; away later, the part stays what it is.
 */
export class SharesLimiter implements Limiter, LinkedShares {
  readonly #options: SharesOptions
  readonly #tenants = new Map<string, Dealt>()
  readonly #unsaid = new Map<string, NodeJS.Timeout>()
  #stopping = false
  #say: (taken: Omit<SharesTaken, 'type'>) => void = () => {}

  constructor(options: SharesOptions) {
    this.#options = options
    const kept = options.files.read()
    for (const [tenant, { parts, stopped }] of kept) {
      const limiter = this.#limiterOf(parts, stopped === null)
      if (stopped) limiter.restore(stopped.counters, Math.max(0, options.clock.now() - stopped.atMs))
      this.#tenants.set(tenant, { limiter, parts, deal: 0 })
    }
    // Whatever happens from here on, what stands in the file is not known to be true any more.
    if (kept.size > 0) this.#keep(false)
  }

  get sharing(): LimitSharing {
    return [...this.#tenants.values()].some(({ limiter }) => limiter.sharing === 'SHARES') ? 'SHARES' : 'SINGLE_PLANE'
  }

  /** True where the control plane, now or before, has said what is this instance's of the tenant's limits. */
  knows(tenant: string): boolean {
    return (this.#tenants.get(tenant)?.parts.length ?? 0) > 0
  }

  take(tenant: string, asks: readonly LimitAsk[]): LimitAnswer {
    return this.#tenants.get(tenant)?.limiter.take(tenant, asks) ?? noShares
  }

  settle(tenant: string, standings: readonly LimitStanding[], usedOf: (standing: LimitStanding) => number): void {
    this.#tenants.get(tenant)?.limiter.settle(tenant, standings, usedOf)
  }

  /** From now on this is how the control plane is told; without a link nothing is. */
  linkOpened(say: (taken: Omit<SharesTaken, 'type'>) => void): void {
    this.#say = say
  }

  /** The control plane has dealt. */
  dealt({ tenant, deal, at, of, settled, holds, fresh }: Shares): void {
    if (this.#stopping) return
    const next: readonly Part[] = at === null ? [] : [{ at, of }]
    const known = this.#tenants.get(tenant)
    const isFirst = !known && fresh && settled
    const dealt = known ?? this.#begin(tenant, deal, isFirst ? next : [])
    dealt.deal = deal
    const parts = settled ? next : leastOf(holds ? dealt.parts : [], next)
    if (!isSame(parts, dealt.parts)) {
      dealt.parts = parts
      dealt.limiter.deal(parts)
      this.#keep(false)
    }
    if (!settled) this.#sayTaken(tenant)
  }

  /** Gives everything back, and keeps where the counters stand. Nothing is admitted any more. */
  stop(): void {
    this.#stopping = true
    for (const timer of this.#unsaid.values()) clearTimeout(timer)
    this.#keep(true)
    for (const [tenant, { deal }] of this.#tenants) this.#say({ tenant, deal, leaving: true })
  }

  #begin(tenant: string, deal: number, parts: readonly Part[]): Dealt {
    const made = { limiter: this.#limiterOf(parts, parts.length === 0), parts, deal }
    this.#tenants.set(tenant, made)
    this.#keep(false)
    return made
  }

  #limiterOf(parts: readonly Part[], beginsEmpty: boolean): MemoryLimiter {
    return new MemoryLimiter({ nowMs: () => this.#options.clock.monotonic(), parts, beginsEmpty })
  }

  /** Once nothing is under way beyond it. */
  #sayTaken(tenant: string): void {
    clearTimeout(this.#unsaid.get(tenant))
    this.#unsaid.delete(tenant)
    const { limiter, deal } = this.#tenants.get(tenant)!
    if (limiter.isWithinParts) this.#say({ tenant, deal, leaving: false })
    else
      this.#unsaid.set(
        tenant,
        setTimeout(() => this.#sayTaken(tenant), lookAgainMs),
      )
  }

  #keep(stopped: boolean): void {
    const atMs = this.#options.clock.now()
    const all = [...this.#tenants].map(([tenant, { parts, limiter }]): [string, KeptShares] => [
      tenant,
      {
        parts: stopped && isShared(parts) ? [] : [...parts],
        stopped: stopped ? { atMs, counters: limiter.standing() } : null,
      },
    ])
    this.#options.files.write(new Map(all))
  }
}

/** One of several gives its part back when it stops: it begins again with nothing. Who was alone has nobody to give it to. */
const isShared = (parts: readonly Part[]) => parts.some(({ of }) => of > 1)

function leastOf(had: readonly Part[], next: readonly Part[]): readonly Part[] {
  if (had.length === 0 || next.length === 0 || had.length >= unsettledMax) return []
  return had.some((part) => isSame([part], next)) ? had : [...had, ...next]
}

function isSame(one: readonly Part[], other: readonly Part[]): boolean {
  return (
    one.length === other.length && one.every(({ at, of }, index) => at === other[index]!.at && of === other[index]!.of)
  )
}
