import { randomBytes } from 'node:crypto'
import type { RunningLimit } from '../../../data-plane/limits/book.ts'
import {
  countsTokens,
  type LimitAnswer,
  type LimitAsk,
  type Limiter,
  type LimitStanding,
} from '../../../data-plane/limits/limiter.ts'
import { callMsMax, StoreConnection, type StoreOptions } from './connection.ts'

/** What a gateway has under way counts until it was not heard of for so long. */
const holdMs = 6_000
const renewMs = 1_500
/** Counters in one call of renewal. */
const renewedMax = 500
/** Calls that wait for their answers. */
const callsMax = 10_000

const away: LimitAnswer = { away: 'The store of rate limits cannot be asked.' }

interface Held {
  tenant: string
  count: number
}

/** Counters in Redis or Valkey, which all gateways share: exact, with one call for all that a request asks at once. */
export class RedisLimiter implements Limiter {
  readonly sharing = 'SHARED_STORE'
  readonly #store: StoreConnection
  readonly #holder = randomBytes(12).toString('base64url')
  /** What this gateway has under way, by key. */
  readonly #held = new Map<string, Held>()
  /** Tenants whose counters this gateway has met in the store. */
  readonly #met = new Set<string>()
  readonly #timer: NodeJS.Timeout
  #calls = 0

  constructor(options: Omit<StoreOptions, 'onOpen'>) {
    this.#store = new StoreConnection({ ...options, onOpen: () => this.#renew(true) })
    this.#timer = setInterval(() => {
      this.#store.watch()
      this.#renew(false)
    }, renewMs)
    this.#timer.unref()
  }

  /** Why requests with rate limits are refused now; null where they are not. */
  get trouble(): string | null {
    return this.#store.trouble
  }

  async take(tenant: string, asks: readonly LimitAsk[]): Promise<LimitAnswer> {
    if (this.#store.trouble !== null || this.#calls >= callsMax) return away
    const keys = asks.map(({ counter: { of, subject } }) => keyOf(tenant, of, subject))
    const call = this.#call('take', tenant, keys, asks.flatMap(takeFields)).then((reply) =>
      this.#answer(tenant, keys, asks, reply as number[]),
    )
    const answer = await inTime(call)
    if (answer) return answer
    // Whatever comes of it still counts in the store: nobody uses it.
    call.then(
      (late) =>
        'taken' in late && this.settle(tenant, late.standings, ({ counter }) => (countsTokens(counter.of) ? 0 : 1)),
      () => undefined,
    )
    return away
  }

  settle(tenant: string, standings: readonly LimitStanding[], usedOf: (standing: LimitStanding) => number): void {
    const keys: string[] = []
    const fields: (string | number)[] = []
    for (const standing of standings) {
      if (!standing.taken) continue
      const { of, subject } = standing.counter
      const key = keyOf(tenant, of, subject)
      const used = usedOf(standing)
      if (of.rate === null) this.#drop(key)
      else if (!countsTokens(of) || used === standing.units) continue
      keys.push(key)
      fields.push(...settleFields(standing, used))
    }
    // Lost with the connection: then less is given back, and what is under way is said anew on the next one.
    if (keys.length > 0) this.#call('settle', tenant, keys, fields).catch(() => undefined)
  }

  close(): void {
    clearInterval(this.#timer)
    this.#store.close()
  }

  #answer(tenant: string, keys: readonly string[], asks: readonly LimitAsk[], reply: number[]): LimitAnswer {
    const taken = reply[0] === 1
    const standings = asks.map((ask, index): LimitStanding => {
      const [over, wait, left, fullMs, tick, debt, removed] = reply.slice(1 + index * 7) as [
        ...[number, number, number, number, number, number, number],
      ]
      const takes = taken && over === 0
      const isHeld = ask.counter.of.rate === null
      if (takes && isHeld) this.#keep(keys[index]!, tenant)
      return {
        ...{ counter: ask.counter, units: ask.units, isOver: over === 1, left, fullMs },
        waitMs: wait < 0 ? Number.POSITIVE_INFINITY : wait,
        taken: takes && (isHeld || countsTokens(ask.counter.of)) ? { tick, debt, removed } : null,
      }
    })
    return { taken, standings }
  }

  async #call(op: string, tenant: string, keys: readonly string[], fields: readonly (string | number)[]) {
    const met = this.#met.has(tenant) ? '1' : '0'
    this.#calls++
    try {
      const head = [op, this.#store.run, met, this.#holder, holdMs]
      const reply = await this.#store.call([storeKey(tenant), ...keys], [...head, ...fields])
      this.#met.add(tenant)
      return reply
    } finally {
      this.#calls--
    }
  }

  #keep(key: string, tenant: string): void {
    const held = this.#held.get(key)
    if (held) held.count++
    else this.#held.set(key, { tenant, count: 1 })
  }

  #drop(key: string): void {
    const held = this.#held.get(key)
    if (held && --held.count <= 0) this.#held.delete(key)
  }

  /** Says what is under way here. Where nothing is being asked that is exact, whatever the store has (`anew`). */
  #renew(opened: boolean): void {
    if (this.#store.run === '') return
    const anew = opened || this.#calls === 0
    const tenants = Map.groupBy(this.#held, ([, { tenant }]) => tenant)
    for (const [tenant, held] of tenants)
      for (let from = 0; from < held.length; from += renewedMax) {
        const some = held.slice(from, from + renewedMax)
        const fields = some.flatMap(([, { count }]) => [count, anew ? 1 : 0])
        this.#call(
          'renew',
          tenant,
          some.map(([key]) => key),
          fields,
        ).catch(() => undefined)
      }
  }
}

/** Undefined where it took too long, or failed. */
async function inTime(call: Promise<LimitAnswer>): Promise<LimitAnswer | undefined> {
  let late: NodeJS.Timeout | undefined
  const timeout = new Promise<undefined>((resolve) => {
    late = setTimeout(() => resolve(undefined), callMsMax)
  })
  try {
    return await Promise.race([call, timeout])
  } catch {
    return undefined
  } finally {
    clearTimeout(late)
  }
}

/** The braces keep a tenant's keys together where the store is a cluster. */
const storeKey = (tenant: string) => `sluice:{${tenant}}:limits`

/** A limit whose window is another counts anew. */
const keyOf = (tenant: string, { id, rate, windowMs }: RunningLimit, subject: string | null) =>
  `sluice:{${tenant}}:${rate ? `rate:${windowMs}` : 'under-way'}:${id}${subject === null ? '' : `:${subject}`}`

function takeFields({ counter: { of }, units }: LimitAsk): (string | number)[] {
  const { rate, limit, isEnforced } = of
  const enforced = isEnforced ? 1 : 0
  if (!rate) return ['c', enforced, units, limit, 0, 0, 0]
  return ['r', enforced, units, rate.limit, rate.span, rate.tickMs, rate.capacity]
}

function settleFields({ counter: { of }, units, taken }: LimitStanding, used: number): (string | number)[] {
  if (!of.rate) return ['c', units]
  const { limit, span, tickMs, capacity } = of.rate
  const { tick, debt, removed } = taken!
  return ['r', units, used, limit, span, tick, debt, removed, tickMs, capacity]
}
