/** A process of many clients of live spend, by WebSocket and by server-sent events, each cut at random. Orders: JSON on stdin. */
import { live, type OpenStream, type Positioned, StreamRefused } from '../../../control-plane/dashboard/live.ts'
import { socketClient, socketStream } from '../../../control-plane/dashboard/live-socket.ts'
import { comparePositions, decodeCursor } from '../../../schema/cursor.ts'
import { parseAmount } from '../../../schema/money.ts'

export interface FollowerOrders {
  url: string
  tokens: string[]
  clients: number
  /** Where the series stand that the ticks are added to. */
  after: string
  /** What is subscribed to, in turn. */
  documents: string[]
  /** Mean time between two cuts of one client. */
  cutEveryMs: number
  /** Every client is cut for the first time within this time. */
  firstCutMs: number
}

/** Last line on stdout. */
export interface FollowerReport {
  clients: FollowerSum[]
  /** Milliseconds from a tick's making to its arrival. */
  lagsMs: number[]
  /** [requests counted, when]: of one client, for how old what it sees is. */
  seen: [number, number][]
  cuts: number
  ticks: number
}

export interface FollowerSum {
  document: number
  via: 'socket' | 'sse'
  /** By the values of a group's keys. */
  groups: Record<string, { cost: string; requests: number }>
  requests: number
  /** Events that came again or out of order. */
  disordered: number
  refused: string | null
}

interface Tick extends Positioned {
  at: string
  groups: { key: { value: string }[]; points: { cost: { amount: string }; requests: number }[] }[]
}

const lagsMax = 200_000

const lines = linesOf(Bun.stdin.stream())
const orders: FollowerOrders = JSON.parse((await lines.next()).value!)
const ending = new AbortController()
const report: FollowerReport = { clients: [], lagsMs: [], seen: [], cuts: 0, ticks: 0 }
let opened = 0
const running = Array.from({ length: orders.clients }, (_, at) => follow(at))
while (opened < orders.clients) await Bun.sleep(20)
console.log('ready')
const expected = Number((await lines.next()).value)
const untilMs = performance.now() + 30_000
while (performance.now() < untilMs && report.clients.some(({ requests }) => requests < expected)) await Bun.sleep(50)
// What came twice would still be on its way.
await Bun.sleep(1_000)
ending.abort()
await Promise.all(running)
console.log(JSON.stringify(report))
process.exit(0)

async function follow(at: number): Promise<void> {
  const via = at % 2 === 0 ? 'socket' : 'sse'
  const document = Math.floor(at / 2) % orders.documents.length
  const sum: FollowerSum = { document, via, groups: {}, requests: 0, disordered: 0, refused: null }
  report.clients.push(sum)
  const token = orders.tokens[at % orders.tokens.length]!
  const way =
    via === 'socket' ? bySocket(orders.documents[document]!, token) : bySse(orders.documents[document]!, token)
  let isOpen = false
  const open: OpenStream<Tick> = (after, signal, told) =>
    way.open(after, signal, () => {
      if (!isOpen) opened += 1
      isOpen = true
      told()
    })
  const cutting = cutAgainAndAgain(way.cut)
  let cursor = orders.after
  try {
    for await (const tick of live(open, { after: orders.after, signal: ending.signal, waitMs: 50 })) {
      if (comparePositions(decodeCursor(tick.cursor)!, decodeCursor(cursor)!) < 0) sum.disordered += 1
      cursor = tick.cursor
      count(sum, tick)
      if (at === 0) report.seen.push([sum.requests, Date.now()])
    }
  } catch (error) {
    sum.refused = error instanceof StreamRefused ? `${error.code}: ${error.message}` : String(error)
  } finally {
    cutting.stop()
  }
}

function count(sum: FollowerSum, tick: Tick): void {
  report.ticks += 1
  if (report.lagsMs.length < lagsMax) report.lagsMs.push(Date.now() - Date.parse(tick.at))
  for (const { key, points } of tick.groups) {
    const name = key.map(({ value }) => value).join(' ')
    const group = sum.groups[name] ?? { cost: '0', requests: 0 }
    sum.groups[name] = group
    for (const { cost, requests } of points) {
      group.cost = String(BigInt(group.cost) + parseAmount(cost.amount)!)
      group.requests += requests
      sum.requests += requests
    }
  }
}

interface Way {
  open: OpenStream<Tick>
  /** Ends the connection without a word. */
  cut(): void
}

function bySocket(query: string, token: string): Way {
  const client = socketClient({ url: `${orders.url.replace('http', 'ws')}/graphql`, token: () => token })
  return { open: socketStream<Tick>(client, query), cut: () => client.terminate() }
}

function bySse(query: string, token: string): Way {
  let cutting = new AbortController()
  async function* open(after: string | null, signal: AbortSignal, told: () => void) {
    cutting = new AbortController()
    const response = await fetch(`${orders.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', authorization: `Bearer ${token}` },
      body: JSON.stringify({ query, variables: { after } }),
      signal: AbortSignal.any([signal, cutting.signal]),
    })
    let text = ''
    const decoder = new TextDecoder()
    if (response.ok) told()
    for await (const chunk of response.body!) {
      text += decoder.decode(chunk, { stream: true })
      const blocks = text.split('\n\n')
      text = blocks.pop()!
      for (const block of blocks) {
        const data = /^data: (.+)$/m.exec(block)?.[1]
        if (!data) continue
        const { data: sent, errors } = JSON.parse(data)
        if (errors?.[0]?.extensions.retryable === false)
          throw new StreamRefused(errors[0].extensions.code, errors[0].message)
        if (errors) throw new Error(errors[0].message)
        yield sent.spendTicks as Tick
      }
    }
  }
  return { open, cut: () => cutting.abort() }
}

function cutAgainAndAgain(cut: () => void): { stop(): void } {
  let timer: ReturnType<typeof setTimeout>
  const again = (ms: number) => {
    timer = setTimeout(() => {
      report.cuts += 1
      cut()
      again(orders.cutEveryMs * (0.5 + Math.random()))
    }, ms)
  }
  again(orders.firstCutMs * Math.random())
  return { stop: () => clearTimeout(timer) }
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, void> {
  let text = ''
  for await (const chunk of stream) {
    text += Buffer.from(chunk).toString()
    const found = text.split('\n')
    text = found.pop()!
    yield* found
  }
}
