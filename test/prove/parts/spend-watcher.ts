import { live } from '../../../control-plane/dashboard/live.ts'
import { socketClient, socketStream } from '../../../control-plane/dashboard/live-socket.ts'
import { parseAmount } from '../../../schema/money.ts'
import { cuttableRelay } from './relay.ts'

/** A dashboard in small: reads the spend so far, adds every tick exactly, and resumes by cursor when it is cut off. */
export interface SpendWatcher {
  opened: Promise<void>
  since: string
  readonly cost: bigint
  readonly requests: number
  readonly ticks: number
  readonly cuts: number
  readonly connections: number
  /** Drops the connection in the middle, as a network does. */
  cut(): void
  /** Waits until so many requests were seen, at most 15 seconds. */
  until(requests: number): Promise<void>
  close(): void
}

interface Tick {
  cursor: string
  groups: { points: { cost: { amount: string }; requests: number }[] }[]
}

const document = `subscription ($after: Cursor) {
  spendTicks(interval: MINUTE, groupBy: [MODEL], after: $after) { cursor groups { points { cost { amount } requests } } }
}`

export function watchSpend(running: { graphql: string; adminToken: string }): SpendWatcher {
  const state = { cost: 0n, requests: 0, ticks: 0, cuts: 0 }
  const stop = new AbortController()
  const opening = Promise.withResolvers<void>()
  const since = new Date(Date.now() - 60_000).toISOString()
  const relay = cuttableRelay(Number(new URL(running.graphql).port))

  const follow = async () => {
    const client = socketClient({ url: `ws://127.0.0.1:${await relay.port}/graphql`, token: () => running.adminToken })
    const { cursor } = await seriesSoFar(running, since)
    const onState = (now: string) => now === 'live' && opening.resolve()
    for await (const tick of live<Tick>(socketStream(client, document), {
      after: cursor,
      signal: stop.signal,
      onState,
    })) {
      state.ticks++
      for (const point of tick.groups.flatMap(({ points }) => points)) {
        state.cost += parseAmount(point.cost.amount)!
        state.requests += point.requests
      }
    }
  }
  follow().catch((error) => opening.reject(error))

  return {
    opened: opening.promise,
    since,
    get cost() {
      return state.cost
    },
    get requests() {
      return state.requests
    },
    get ticks() {
      return state.ticks
    },
    get cuts() {
      return state.cuts
    },
    get connections() {
      return relay.connections()
    },
    cut() {
      state.cuts++
      relay.cut()
    },
    async until(requests) {
      const deadlineMs = performance.now() + 15_000
      while (state.requests < requests && performance.now() < deadlineMs) await Bun.sleep(25)
    },
    close() {
      stop.abort()
      relay.close()
    },
  }
}

/** Where the series stands now: ticks are added to what came before this cursor, which here is nothing. */
async function seriesSoFar(
  running: { graphql: string; adminToken: string },
  from: string,
): Promise<{ cursor: string }> {
  const query = `query ($window: TimeRange!) { spend(window: $window, interval: TOTAL) { cursor } }`
  const answer = await fetch(running.graphql, {
    method: 'POST',
    headers: { authorization: `Bearer ${running.adminToken}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables: { window: { from } } }),
  })
  const { data } = (await answer.json()) as { data: { spend: { cursor: string } } }
  return data.spend
}
