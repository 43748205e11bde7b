import { createClient } from 'graphql-ws'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { live } from '../dashboard/live.ts'
import { socketClient, socketStream } from '../dashboard/live-socket.ts'
import { type Running, runControlPlane } from './running.ts'

let plane: Running
beforeAll(async () => {
  plane = await runControlPlane()
})
afterAll(() => plane?.stop())

const eventsDocument = `subscription Events($after: Cursor) {
  events(kinds: [CONFIG_CHANGED], after: $after) { cursor ... on ConfigChanged { revision changes { ref } } }
}`
interface Event {
  cursor: string
  revision: number
  changes: { ref: string }[]
}

/** Declares so many teams, one change each; the cursor before the first. */
async function declareTeams(prefix: string, count: number): Promise<string> {
  const before = await plane.ask(
    '{ tenant { configRevision } spend(window: { from: "2026-01-01T00:00:00Z" }, interval: TOTAL) { cursor } }',
  )
  let revision = before.data.tenant.configRevision
  for (let index = 0; index < count; index++) {
    const input = { ifRevision: revision, resources: [{ team: { name: `${prefix}-${index}` } }] }
    const { data } = await plane.ask(
      'mutation($input: ApplyInput!) { apply(input: $input) { errors { message } revision } }',
      { input },
    )
    expect(data.apply.errors).toEqual([])
    revision = data.apply.revision
  }
  return before.data.spend.cursor
}

const refs = (prefix: string, count: number) => Array.from({ length: count }, (_, index) => `team/${prefix}-${index}`)
const openStreams = async () =>
  Number(/^sluice_control_open_streams (\d+)/m.exec(await (await fetch(`${plane.url}/metrics`)).text())![1])

async function eventually(check: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    if (await check()) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('It did not come to be within five seconds.')
}

/** Reads events over one SSE connection until `enough`; the ids seen. */
async function readSse(headers: Record<string, string>, variables: object, enough: number) {
  const leave = new AbortController()
  const address = new URLSearchParams({ query: eventsDocument, variables: JSON.stringify(variables) })
  const response = await fetch(`${plane.url}/graphql?${address}`, {
    headers: { authorization: `Bearer ${plane.token}`, accept: 'text/event-stream', ...headers },
    signal: leave.signal,
  })
  expect(response.headers.get('content-type')).toContain('text/event-stream')
  const seen: { id: string; event: Event }[] = []
  let text = ''
  for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
    const blocks = (text + chunk).split('\n\n')
    text = blocks.pop()!
    for (const block of blocks) {
      const found = /^event: next\nid: (\S+)\ndata: (.*)$/.exec(block)
      if (found && seen.length < enough) seen.push({ id: found[1]!, event: JSON.parse(found[2]!).data.events })
    }
    if (seen.length >= enough) break
  }
  leave.abort()
  return seen
}

describe('a stream over server-sent events', () => {
  it('carries each cursor as id, and goes on from Last-Event-ID without gap or repeat', async () => {
    const after = await declareTeams('sse', 9)
    const first = await readSse({}, { after }, 4)
    for (const { id, event } of first) expect(id).toBe(event.cursor)
    // As a browser does it: the address still holds the first `after`, the header says how far it came.
    const rest = await readSse({ 'last-event-id': first.at(-1)!.id }, { after }, 5)
    expect([...first, ...rest].map(({ event }) => event.changes[0]!.ref)).toEqual(refs('sse', 9))
  })

  it('ends on the server soon after its reader left', async () => {
    await eventually(async () => (await openStreams()) === 0)
  })

  it('refuses a cursor that is none', async () => {
    const address = new URLSearchParams({ query: eventsDocument, variables: '{"after":"nonsense"}' })
    const headers = { authorization: `Bearer ${plane.token}`, accept: 'text/event-stream' }
    const text = await (await fetch(`${plane.url}/graphql?${address}`, { headers })).text()
    expect(text).toContain('"code":"BAD_DOCUMENT"')
    expect(text).toContain('event: complete')
  })
})

describe('a stream over graphql-transport-ws', () => {
  it('brings each change once and in order, through a socket that is cut again and again', async () => {
    const after = await declareTeams('ws', 12)
    const stop = new AbortController()
    const seen: string[] = []
    const client = socketClient({ url: plane.socketUrl, token: () => plane.token })
    let socket: WebSocket | undefined
    client.on('opened', (opened) => {
      socket = opened as WebSocket
    })
    for await (const event of live(socketStream<Event>(client, eventsDocument), {
      after,
      signal: stop.signal,
      waitMs: 10,
    })) {
      seen.push(event.changes[0]!.ref)
      if (seen.length % 3 === 0) socket!.close(4999, 'cut')
      if (seen.length === 12) stop.abort()
    }
    await client.dispose()
    expect(seen).toEqual(refs('ws', 12))
  })

  const closeOf = (connectionParams: Record<string, unknown> | undefined) =>
    new Promise<unknown>((resolve) => {
      const client = createClient({ url: plane.socketUrl, retryAttempts: 0, connectionParams })
      client.subscribe(
        { query: '{ viewer { actor { name } } }' },
        {
          next: (answer) => resolve(answer.data),
          error: (error) => resolve((error as { code?: number }).code ?? error),
          complete: () => client.dispose(),
        },
      )
    })

  it('closes with 4403 without a token and with a bad one', async () => {
    expect(await closeOf(undefined)).toBe(4403)
    expect(await closeOf({ authorization: `Bearer sla_${'x'.repeat(40)}` })).toBe(4403)
    expect(await closeOf({ authorization: 7 })).toBe(4403)
    expect(await closeOf({ authorization: `Bearer ${plane.token}` })).toHaveProperty('viewer')
  })

  const handshake = (path: string, protocol: string | undefined, headers: Record<string, string> = {}) =>
    new Promise<string>((resolve) => {
      const socket = new WebSocket(plane.url.replace('http', 'ws') + path, { protocols: protocol, headers } as never)
      socket.onopen = () => resolve('open') ?? socket.close()
      socket.onerror = () => resolve('refused')
    })

  it('checks path, subprotocol and origin before it upgrades', async () => {
    expect(await handshake('/graphql', 'graphql-transport-ws')).toBe('open')
    expect(await handshake('/graphql', 'graphql-ws')).toBe('refused')
    expect(await handshake('/graphql', undefined)).toBe('refused')
    expect(await handshake('/', 'graphql-transport-ws')).toBe('refused')
    expect(await handshake('/graphql', 'graphql-transport-ws', { origin: 'https://evil.test' })).toBe('refused')
    expect(await handshake('/graphql', 'graphql-transport-ws', { origin: plane.url })).toBe('open')
  })

  it('closes a socket that says no hello, or nonsense', async () => {
    const closed = (message: string | undefined) =>
      new Promise<number>((resolve) => {
        const socket = new WebSocket(plane.socketUrl, 'graphql-transport-ws')
        socket.onopen = () => message !== undefined && socket.send(message)
        socket.onclose = ({ code }) => resolve(code)
      })
    expect(await closed('nonsense')).toBe(4400)
    expect(await closed('{"type":"subscribe","id":"1","payload":{"query":"{ viewer { actor { name } } }"}}')).toBe(4401)
    expect(await closed(undefined)).toBe(4408)
  })

  it('applies the same limits and the same error words as HTTP', async () => {
    const ask = (query: string) =>
      new Promise<{ message: string; extensions: object }[]>((resolve) => {
        const client = createClient({
          url: plane.socketUrl,
          retryAttempts: 0,
          connectionParams: { authorization: `Bearer ${plane.token}` },
        })
        client.subscribe(
          { query },
          {
            next: (answer) => resolve(answer.errors as never),
            error: (errors) => resolve(errors as never),
            complete: () => client.dispose(),
          },
        )
      })
    const [unknown] = await ask('{ nope }')
    expect(unknown!.extensions).toEqual({
      code: 'BAD_DOCUMENT',
      requestId: expect.stringMatching(/^cor_/),
      retryable: false,
    })
    const aliases = Array.from({ length: 200 }, (_, index) => `a${index}: viewer { actor { name } }`).join(' ')
    expect((await ask(`{ ${aliases} }`))[0]!.extensions).toMatchObject({ code: 'TOO_COMPLEX' })
  })

  it('ends when its key is revoked: at the next operation, the socket closes with 4403', async () => {
    const issued = await issueAdminKey('short-lived')
    const client = createClient({
      url: plane.socketUrl,
      retryAttempts: 0,
      lazy: false,
      onNonLazyError() {},
      connectionParams: { authorization: `Bearer ${issued.secret}` },
    })
    const closed = new Promise<number>((resolve) => client.on('closed', (event) => resolve((event as CloseEvent).code)))
    const asked = () =>
      new Promise<unknown>((resolve) =>
        client.subscribe(
          { query: '{ viewer { actor { name } } }' },
          { next: ({ data }) => resolve(data), error: resolve, complete() {} },
        ),
      )
    expect(await asked()).toHaveProperty('viewer.actor.name', 'short-lived')
    await plane.ask('mutation($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { errors { message } } }', {
      input: { apiKey: 'api-key/short-lived', reason: 'test' },
    })
    void asked()
    expect(await closed).toBe(4403)
  })

  async function issueAdminKey(name: string): Promise<{ secret: string }> {
    const { data: seen } = await plane.ask('{ tenant { principals { nodes { id } } } }')
    const input = {
      idempotencyKey: crypto.randomUUID(),
      kind: 'ADMIN',
      name,
      principal: seen.tenant.principals.nodes[0].id,
    }
    const { data } = await plane.ask(
      'mutation($input: ApiKeyIssueInput!) { apiKeyIssue(input: $input) { errors { message } secret } }',
      { input },
    )
    expect(data.apiKeyIssue.errors).toEqual([])
    return data.apiKeyIssue
  }
})

describe('spend', () => {
  it('reads every series of one operation at one moment', async () => {
    const series = (name: string) =>
      `${name}: spend(window: { from: "2026-11-22T00:00:00Z", to: "2026-11-22T01:00:00Z" }, interval: MINUTE, groupBy: [MODEL]) { cursor }`
    const { data } = await plane.ask(`{ ${['a', 'b', 'c'].map(series).join(' ')} }`)
    expect(new Set(['a', 'b', 'c'].map((name) => data[name].cursor)).size).toBe(1)
  })

  it('and all streams together never met a fault', () => expect(plane.faults).toEqual([]))
})
