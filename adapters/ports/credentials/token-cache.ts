import type { RunningProvider } from '../../../data-plane/snapshot/running.ts'

/** Why a credential cannot be used: a sentence that names it, never a value of it. */
export type Missing = { readonly missing: string }

/** A request to a vendor's token service. */
export interface TokenRequest {
  /** Whose way out is taken: proxy, private CA. */
  provider: RunningProvider
  url: string
  method: 'GET' | 'POST'
  headers: Record<string, string>
  body?: string
  /** True where the tenant's own secret names the address: then it must be one that a provider may have. */
  ofTenant?: boolean
}

/** Answers the JSON object that the token service gave, or one sentence on why there is none. */
export type TokenExchange = (request: TokenRequest) => Promise<Record<string, unknown> | Missing>

interface Held<T> {
  value: T
  /** Monotonic milliseconds from which on it is fetched anew, and from which on it is worthless. */
  renewMs: number
  endMs: number
}

/** A token is renewed when this much of its life is left, and used until then. */
const renewBeforeMs = 5 * 60_000
/** A token service that refuses is not asked again at once. */
const retryAfterMs = 2_000
const heldMax = 10_000

/**
 * Tokens by what they were got with. One fetch is under way per key whatever asks for it; a token near its end is still given
 * while the next is fetched, so that requests wait for a token only when there is none.
 */
export class TokenCache<T> {
  readonly #held = new Map<string, Held<T>>()
  readonly #underWay = new Map<string, Promise<T | Missing>>()
  readonly #refused = new Map<string, { missing: Missing; untilMs: number }>()

  async get(key: string, fetch: () => Promise<{ value: T; lifeMs: number } | Missing>): Promise<T | Missing> {
    const nowMs = performance.now()
    const held = this.#held.get(key)
    if (held && nowMs < held.renewMs) return held.value
    const refused = this.#refused.get(key)
    const resting = refused && nowMs < refused.untilMs
    if (held && nowMs < held.endMs) {
      if (!resting) void this.#fetch(key, fetch)
      return held.value
    }
    return resting ? refused.missing : this.#fetch(key, fetch)
  }

  #fetch(key: string, fetch: () => Promise<{ value: T; lifeMs: number } | Missing>): Promise<T | Missing> {
    const running = this.#underWay.get(key)
    if (running) return running
    const begun = fetch()
      .catch((): Missing => ({ missing: 'Its token service could not be asked.' }))
      .then((got) => this.#take(key, got))
      .finally(() => this.#underWay.delete(key))
    this.#underWay.set(key, begun)
    return begun
  }

  #take(key: string, got: { value: T; lifeMs: number } | Missing): T | Missing {
    const nowMs = performance.now()
    if ('missing' in got) {
      bound(this.#refused)
      this.#refused.set(key, { missing: got, untilMs: nowMs + retryAfterMs })
      return got
    }
    bound(this.#held)
    this.#refused.delete(key)
    const early = Math.min(renewBeforeMs, got.lifeMs / 2)
    this.#held.set(key, { value: got.value, renewMs: nowMs + got.lifeMs - early, endMs: nowMs + got.lifeMs * 0.95 })
    return got.value
  }
}

/** The oldest goes first: a key names a secret's version, and old versions are asked for no more. */
function bound(map: Map<string, unknown>): void {
  if (map.size >= heldMax) map.delete(map.keys().next().value!)
}
