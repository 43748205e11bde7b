import { coalesce } from './coalesce.ts'
import type { LinkDomain } from './domain.ts'
import type { PlaneSession } from './plane-session.ts'

/** Tells planes which part of a tenant's rate limits is theirs. Whoever notices a change deals; every control plane tells its own. */
export class ShareFeed {
  readonly #domain: LinkDomain
  readonly #sessions: ReadonlySet<PlaneSession>
  readonly #fault: (error: unknown) => void
  readonly #wakes = new Map<string, () => Promise<void>>()
  /** What each was told last, by tenant: a repetition says nothing new. */
  readonly #told = new WeakMap<PlaneSession, Map<string, string>>()

  constructor(domain: LinkDomain, sessions: ReadonlySet<PlaneSession>, fault: (error: unknown) => void) {
    this.#domain = domain
    this.#sessions = sessions
    this.#fault = fault
  }

  /** '' = any tenant's. */
  wake(tenant: string): void {
    const tenants = tenant === '' ? new Set(this.#able().flatMap(({ instance }) => instance.serves)) : [tenant]
    for (const each of tenants) {
      if (!this.#able().some(({ instance }) => instance.serves.includes(each))) this.#wakes.delete(each)
      else this.#wakeOf(each)().catch(this.#fault)
    }
  }

  #wakeOf(tenant: string): () => Promise<void> {
    const known = this.#wakes.get(tenant)
    if (known) return known
    const wake = coalesce(async () => this.#tell(tenant, await this.#domain.dealShares(tenant)))
    this.#wakes.set(tenant, wake)
    return wake
  }

  #tell(tenant: string, dealt: Awaited<ReturnType<LinkDomain['dealShares']>>): void {
    for (const session of this.#able()) {
      const own = session.instance.serves.includes(tenant) ? dealt.get(session.instance.id) : undefined
      const text = own && JSON.stringify(own)
      const told = this.#told.get(session) ?? new Map<string, string>()
      if (!own || told.get(tenant) === text) continue
      this.#told.set(session, told.set(tenant, text!))
      session.send({ type: 'shares', tenant, ...own }, 'urgent')
    }
  }

  #able(): PlaneSession[] {
    return [...this.#sessions].filter((session) => session.state === 'open' && session.can('shares'))
  }
}
