import type { LinkDomain } from './domain.ts'
import { helloMsMax, type PlaneSession, type SessionHost, silenceMsMax } from './plane-session.ts'
import { TenantFeed } from './tenant-feed.ts'
import type { OnlineKey } from './trust.ts'

/** Links that have not proved who they are; more wait at the door. */
export const unprovenMax = 128
/** Planes are brought up to date at least this often, should a notification be lost. */
const refreshMs = 15_000
const sweepMs = 2_000
const retryMs = 1_000

/** All links of this control plane. */
export class PlaneSessions implements SessionHost {
  readonly domain: LinkDomain
  readonly online: OnlineKey
  readonly log: SessionHost['log']
  readonly #all = new Set<PlaneSession>()
  readonly #byInstance = new Map<string, PlaneSession>()
  readonly #byToken = new Map<string, PlaneSession>()
  readonly #feeds = new Map<string, TenantFeed>()
  readonly #timers: NodeJS.Timeout[]
  #stopListening: Promise<() => Promise<void>>

  constructor(domain: LinkDomain, online: OnlineKey, log: SessionHost['log']) {
    this.domain = domain
    this.online = online
    this.log = log
    this.#stopListening = domain.onConfigChange((tenant) => this.#wake(tenant))
    // Its failure is told by `close` and by what else uses the database; the timer below covers for it.
    this.#stopListening.catch(() =>
      log('error', 'Changes of configuration are not notified; planes hear of them late.'),
    )
    this.#timers = [setInterval(() => this.#sweep(), sweepMs), setInterval(() => this.#wake(''), refreshMs)]
    for (const timer of this.#timers) timer.unref()
  }

  get isFull(): boolean {
    return this.#all.size - this.#byInstance.size >= unprovenMax
  }

  add(session: PlaneSession): void {
    this.#all.add(session)
  }

  opened(session: PlaneSession): void {
    const { id, tenant } = session.instance
    const other = this.#byInstance.get(id)
    const [older, newer] = other && other.epoch > session.epoch ? [session, other] : [other, session]
    this.#byInstance.set(id, newer)
    older?.end('A newer link of this instance has opened.')
    if (older === session) return
    this.#byToken.set(session.partToken, session)
    const feed = this.#feeds.get(tenant) ?? new TenantFeed(tenant, this.domain, this.online)
    this.#feeds.set(tenant, feed)
    feed.add(session)
    this.#wakeFeed(feed)
  }

  /** The open link that was given this bearer token. */
  withToken(token: string): PlaneSession | undefined {
    const session = this.#byToken.get(token)
    return session?.state === 'open' ? session : undefined
  }

  remove(session: PlaneSession): void {
    this.#all.delete(session)
    if (!this.#byToken.delete(session.partToken)) return
    const { id, tenant } = session.instance
    const feed = this.#feeds.get(tenant)
    feed?.remove(session)
    if (feed?.size === 0) this.#feeds.delete(tenant)
    if (this.#byInstance.get(id) !== session) return
    this.#byInstance.delete(id)
    this.domain.gone(id).catch((error) => this.log('warn', `A closed link could not be noted: ${String(error)}`))
  }

  /** Ends every link. Planes come back by themselves. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    for (const session of [...this.#all]) {
      session.end('The control plane is stopping.')
      this.remove(session)
    }
    await (await this.#stopListening.catch(() => undefined))?.()
  }

  #wake(tenant: string): void {
    if (tenant === '') for (const feed of this.#feeds.values()) this.#wakeFeed(feed)
    else this.#wakeFeed(this.#feeds.get(tenant))
  }

  #wakeFeed(feed: TenantFeed | undefined): void {
    feed?.wake().catch((error) => {
      this.log('warn', `Planes could not be brought up to date, trying again: ${String(error)}`)
      setTimeout(() => this.#wakeFeed(feed), retryMs).unref()
    })
  }

  #sweep(): void {
    const nowMs = performance.now()
    for (const session of this.#all) {
      const silentMs = nowMs - session.heardAtMs
      if (silentMs > (session.state === 'open' ? silenceMsMax : helloMsMax))
        session.end('Nothing was heard for too long.')
    }
  }
}
