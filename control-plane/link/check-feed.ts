import type { LinkDomain } from './domain.ts'
import type { PlaneSession } from './plane-session.ts'

/** Hands checks of providers to the planes whose links are here. Whichever control plane is first takes a check; none takes it twice. */
export class CheckFeed {
  readonly #domain: LinkDomain
  readonly #sessions: ReadonlySet<PlaneSession>
  readonly #fault: (error: unknown) => void

  constructor(domain: LinkDomain, sessions: ReadonlySet<PlaneSession>, fault: (error: unknown) => void) {
    this.#domain = domain
    this.#sessions = sessions
    this.#fault = fault
  }

  /** '' = any tenant may have asked. */
  wake(tenant: string): void {
    const open = [...this.#sessions].filter((session) => session.state === 'open' && session.can('providerCheck'))
    const tenants = tenant === '' ? new Set(open.flatMap(({ instance }) => instance.serves)) : [tenant]
    for (const each of tenants) {
      const able = open.filter(({ instance }) => instance.serves.includes(each))
      // Who asks looks again by itself and says so where nobody took it.
      if (able.length > 0) this.#hand(each, able).catch(this.#fault)
    }
  }

  async #hand(tenant: string, able: readonly PlaneSession[]): Promise<void> {
    const named = able.map(({ instance }) => ({ instance: instance.id, dataPlane: instance.dataPlane }))
    for (const { id, instance, provider, credential, revision } of await this.#domain.takeChecks(tenant, named))
      able.find((session) => session.instance.id === instance)?.askCheck({ id, tenant, provider, credential, revision })
  }
}
