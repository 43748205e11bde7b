import type { LinkedInstance } from '../domain/planes.ts'
import type { LinkDomain } from './domain.ts'

/** What planes are refused for; each is one line of the audit log, whatever the sentence beside it. */
export type RefusalCode = 'not_enrolled' | 'version' | 'malformed' | 'too_large' | 'records' | 'leases'

/** One entry per instance and code in this time, which tells how many there were since the last: no plane fills a log. */
export const quietMs = 10 * 60_000
const rememberedMax = 10_000

interface Noted {
  untilMs: number
  unsaid: number
}

/** Audits what planes are refused for, within bounds. Only an instance that is or was enrolled leaves a trace. */
export class RefusalNotes {
  readonly #domain: Pick<LinkDomain, 'noteRefused'>
  readonly #failed: (error: unknown) => void
  readonly #noted = new Map<string, Noted>()

  constructor(domain: Pick<LinkDomain, 'noteRefused'>, failed: (error: unknown) => void) {
    this.#domain = domain
    this.#failed = failed
  }

  /** In the log of each of these tenants, else of all that it serves. */
  note(instance: LinkedInstance, code: RefusalCode, reason: string, tenants?: readonly string[]): void {
    const key = `${instance.id} ${code}`
    const noted = this.#noted.get(key)
    if (noted && performance.now() < noted.untilMs) {
      noted.unsaid += 1
      return
    }
    const times = (noted?.unsaid ?? 0) + 1
    this.#noted.delete(key)
    this.#noted.set(key, { untilMs: performance.now() + quietMs, unsaid: 0 })
    if (this.#noted.size > rememberedMax) this.#noted.delete(this.#noted.keys().next().value!)
    this.#domain.noteRefused(instance.id, { code, reason, times, tenants }).catch(this.#failed)
  }
}
