import { coalesce } from './coalesce.ts'
import type { LinkDomain } from './domain.ts'
import type { PlaneSession } from './plane-session.ts'

/** Passes recalls of money on to the planes whose links are here. Each is taken by one control plane, once. */
export class RecallFeed {
  readonly #domain: LinkDomain
  readonly #sessions: ReadonlySet<PlaneSession>
  readonly #fault: (error: unknown) => void
  readonly #takes = new Map<string, () => Promise<void>>()

  constructor(domain: LinkDomain, sessions: ReadonlySet<PlaneSession>, fault: (error: unknown) => void) {
    this.#domain = domain
    this.#sessions = sessions
    this.#fault = fault
  }

  /** '' = any tenant may have recalls. */
  wake(tenant: string): void {
    const tenants = tenant === '' ? new Set(this.#open().flatMap(({ instance }) => instance.serves)) : [tenant]
    // Who waits for the money waits no longer than it said, whatever becomes of this.
    for (const each of tenants) this.#takeOf(each)().catch(this.#fault)
  }

  #takeOf(tenant: string): () => Promise<void> {
    const take = this.#takes.get(tenant) ?? coalesce(() => this.#pass(tenant))
    this.#takes.set(tenant, take)
    return take
  }

  #open(): PlaneSession[] {
    return [...this.#sessions].filter((session) => session.state === 'open')
  }

  async #pass(tenant: string): Promise<void> {
    const serving = new Map(
      this.#open().flatMap((session) =>
        session.instance.serves.includes(tenant) ? [[session.instance.id, session]] : [],
      ),
    )
    if (serving.size === 0) return void this.#takes.delete(tenant)
    const taken = await this.#domain.takeRecalls(tenant, [...serving.keys()])
    for (const [instance, asks] of Map.groupBy(taken, (ask) => ask.instance)) {
      const told = asks.map(({ budget, subject, amount, forMs }) => ({ budget, subject, amount, forMs }))
      serving.get(instance)?.send({ type: 'leaseRecall', tenant, asks: told }, 'urgent')
    }
  }
}
