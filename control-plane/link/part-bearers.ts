import type { LinkedInstance } from '../domain/planes.ts'
import type { LinkDomain } from './domain.ts'
import type { PartBearer } from './part-tokens.ts'
import { silenceMsMax } from './plane-session.ts'

/** For so long an answer of the database is believed: a snapshot is fetched in some hundred requests. */
const believedMs = 1_000
const rememberedMax = 1_000

/** Whether links that another control plane holds are still what their part tokens say. */
export class PartBearers {
  readonly #domain: LinkDomain
  readonly #asked = new Map<string, { untilMs: number; found: Promise<LinkedInstance | undefined> }>()

  constructor(domain: LinkDomain) {
    this.#domain = domain
  }

  /** The instance, where that link is its newest, it was heard of lately and it is not retired. */
  async find({ instance, epoch }: PartBearer): Promise<LinkedInstance | undefined> {
    const found = await this.#ask(instance)
    if (!found || found.serves.length === 0 || found.epoch !== epoch) return undefined
    const silentMs = this.#domain.now() - (found.lastSeenAt?.getTime() ?? Number.NEGATIVE_INFINITY)
    return silentMs <= silenceMsMax ? found : undefined
  }

  #ask(instance: string): Promise<LinkedInstance | undefined> {
    const known = this.#asked.get(instance)
    if (known && performance.now() < known.untilMs) return known.found
    const found = this.#domain.findInstance(instance)
    this.#asked.delete(instance)
    this.#asked.set(instance, { untilMs: performance.now() + believedMs, found })
    found.catch(() => this.#asked.delete(instance))
    if (this.#asked.size > rememberedMax) this.#asked.delete(this.#asked.keys().next().value!)
    return found
  }
}
