import type { LinkedInstance } from '../domain/planes.ts'
import { CheckFeed } from './check-feed.ts'
import { coalesce } from './coalesce.ts'
import type { LinkDomain } from './domain.ts'
import { PartBearers } from './part-bearers.ts'
import { PartTokens } from './part-tokens.ts'
import { helloMsMax, type PlaneSession, type SessionHost, silenceMsMax } from './plane-session.ts'
import { RecallFeed } from './recall-feed.ts'
import { type RefusalCode, RefusalNotes } from './refusal-notes.ts'
import { ShareFeed } from './share-feed.ts'
import { TenantFeed } from './tenant-feed.ts'
import type { OnlineKey } from './trust.ts'

/** Links that have not proved who they are; more wait at the door. */
export const unprovenMax = 128
/** Planes are brought up to date at least this often, should a notification be lost. */
const refreshMs = 15_000
const sweepMs = 2_000
const retryMsMin = 25
const retryMsMax = 1_600

/** All links of this control plane. */
export class PlaneSessions implements SessionHost {
  readonly domain: LinkDomain
  readonly online: OnlineKey
  readonly rootsAfter: SessionHost['rootsAfter']
  readonly partTokens: PartTokens
  readonly log: SessionHost['log']
  readonly #bearers: PartBearers
  readonly #refusals: RefusalNotes
  readonly #all = new Set<PlaneSession>()
  /** Those that a feed brings up to date. */
  readonly #served = new Set<PlaneSession>()
  readonly #byInstance = new Map<string, PlaneSession>()
  readonly #feeds = new Map<string, TenantFeed>()
  readonly #shares: ShareFeed
  readonly #timers: NodeJS.Timeout[]
  readonly #listening: Promise<() => Promise<void>>[]
  readonly #endChanged = coalesce(() => this.#findChanged())

  constructor({ domain, online, rootsAfter, log }: Pick<SessionHost, 'domain' | 'online' | 'rootsAfter' | 'log'>) {
    this.domain = domain
    this.online = online
    this.rootsAfter = rootsAfter
    this.log = log
    this.partTokens = new PartTokens(online)
    this.#bearers = new PartBearers(domain)
    this.#refusals = new RefusalNotes(domain, (error) =>
      log('warn', `What a plane was refused could not be audited: ${String(error)}`),
    )
    const checks = new CheckFeed(domain, this.#served, (error) =>
      log('warn', `Checks of providers could not be handed out: ${String(error)}`),
    )
    const recalls = new RecallFeed(domain, this.#served, (error) =>
      log('warn', `Money could not be asked back from planes: ${String(error)}`),
    )
    this.#shares = new ShareFeed(domain, this.#served, (error) =>
      log('warn', `Parts of rate limits could not be dealt, trying again: ${String(error)}`),
    )
    this.#listening = [
      domain.onShares((tenant) => this.#shares.wake(tenant)),
      domain.onRecalls((tenant) => recalls.wake(tenant)),
      domain.onConfigChange((tenant) => this.#wake(tenant)),
      domain.onPlanesChange(() => this.#planesChanged()),
      domain.onChecks((tenant) => checks.wake(tenant)),
    ]
    // Their failure is told by `close` and by what else uses the database; the timer below covers for them.
    for (const listening of this.#listening)
      listening.catch(() => log('error', 'Changes are not notified by the database; planes hear of them late.'))
    this.#timers = [
      setInterval(() => this.#sweep(), sweepMs),
      setInterval(() => {
        this.#wake('')
        this.#shares.wake('')
        this.#planesChanged()
      }, refreshMs),
    ]
    for (const timer of this.#timers) timer.unref()
  }

  get isFull(): boolean {
    return this.#all.size - this.#byInstance.size >= unprovenMax
  }

  add(session: PlaneSession): void {
    this.#all.add(session)
  }

  opened(session: PlaneSession): void {
    const { id, serves } = session.instance
    const other = this.#byInstance.get(id)
    const [older, newer] = other && other.epoch > session.epoch ? [session, other] : [other, session]
    this.#byInstance.set(id, newer)
    older?.end('A newer link of this instance has opened.')
    if (older === session) return
    this.#served.add(session)
    for (const tenant of serves) {
      this.#shares.wake(tenant)
      const feed = this.#feeds.get(tenant) ?? new TenantFeed(tenant, this.domain, this.online)
      this.#feeds.set(tenant, feed)
      feed.add(session)
      this.#wakeFeed(feed)
    }
  }

  refused(instance: LinkedInstance, code: RefusalCode, reason: string, tenants?: readonly string[]): void {
    this.#refusals.note(instance, code, reason, tenants)
  }

  /** The open link that was given this bearer token, or the instance whose link another control plane holds. */
  async withToken(token: string): Promise<PlaneSession | LinkedInstance | undefined> {
    const bearer = this.partTokens.read(token)
    if (!bearer) return undefined
    const own = this.#byInstance.get(bearer.instance)
    if (own?.state === 'open' && own.epoch === bearer.epoch) return own
    return this.#bearers.find(bearer)
  }

  remove(session: PlaneSession): void {
    this.#all.delete(session)
    if (!this.#served.delete(session)) return
    const { id, serves } = session.instance
    for (const tenant of serves) {
      const feed = this.#feeds.get(tenant)
      feed?.remove(session)
      if (feed?.size === 0) this.#feeds.delete(tenant)
    }
    if (this.#byInstance.get(id) !== session) return
    this.#byInstance.delete(id)
    this.domain
      .gone(session.name)
      .catch((error) => this.log('warn', `A closed link could not be noted: ${String(error)}`))
  }

  /** Ends every link. Planes come back by themselves. */
  async close(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer)
    for (const session of [...this.#all]) {
      session.end('The control plane is stopping.')
      this.remove(session)
    }
    for (const listening of this.#listening) await (await listening.catch(() => undefined))?.()
    await this.domain.close()
  }

  #wake(tenant: string): void {
    if (tenant === '') for (const feed of this.#feeds.values()) this.#wakeFeed(feed)
    else this.#wakeFeed(this.#feeds.get(tenant))
  }

  /** A failure may be a passing one, such as two control planes that keep the same snapshot at once: the first retry is soon. */
  #wakeFeed(feed: TenantFeed | undefined, afterMs = retryMsMin): void {
    feed?.wake().catch((error) => {
      if (afterMs > retryMsMin)
        this.log('warn', `Planes could not be brought up to date, trying again: ${String(error)}`)
      setTimeout(() => this.#wakeFeed(feed, Math.min(afterMs * 4, retryMsMax)), afterMs).unref()
    })
  }

  #planesChanged(): void {
    this.#endChanged().catch((error) =>
      this.log('warn', `What instances serve could not be looked up, trying again: ${String(error)}`),
    )
  }

  /** A link is given for what its instance serves; where that has changed, the next link begins with what it is now. */
  async #findChanged(): Promise<void> {
    for (const session of [...this.#served]) {
      const now = (await this.domain.findInstance(session.instance.id))?.serves ?? []
      if (now.length === 0) session.end('This instance was retired.')
      else if (new Set(now).symmetricDifference(new Set(session.instance.serves)).size > 0)
        session.end('The tenants that this instance serves have changed.')
      else if (await this.domain.mustReport(session.name))
        session.end('The books came from a backup: say anew what this instance holds.')
    }
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
