import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { live } from '../../control-plane/dashboard/live.ts'
import { socketClient, socketStream } from '../../control-plane/dashboard/live-socket.ts'
import { post } from '../../control-plane/hosts/running.ts'
import { type Hosted, hosts } from './hosts.ts'
import { closed, handshake, type Message, talk } from './socket.ts'

const viewer = '{ viewer { actor { name } } }'
const events = `subscription Events($after: Cursor) {
  events(kinds: [CONFIG_CHANGED], after: $after) { cursor ... on ConfigChanged { revision changes { ref } } }
}`

describe.each(Object.entries(hosts))('graphql-transport-ws, on %s', (_, open) => {
  let host: Hosted
  beforeAll(async () => {
    host = await open()
  })
  afterAll(() => host?.stop())

  const ask = (query: string, variables: object = {}, token = host.token) =>
    post(host.url, JSON.stringify({ query, variables }), token)
  const hello = (token = host.token): Message => ({
    type: 'connection_init',
    payload: { authorization: `Bearer ${token}` },
  })
  const operation = (query: string, id = '1', variables: object = {}): Message => ({
    type: 'subscribe',
    id,
    payload: { query, variables },
  })
  /** All that is answered to one operation, up to its end. */
  const answersTo = async (query: string, variables: object = {}) => {
    const socket = await talk(host.socketUrl)
    await socket.greet(hello())
    socket.send(operation(query, '1', variables))
    const answers = await socket.until(({ id, type }) => id === '1' && type !== 'next')
    socket.close()
    return answers.filter(({ id }) => id === '1')
  }
  const errorsOf = async (query: string, variables: object = {}) => {
    const answers = await answersTo(query, variables)
    return answers.flatMap(({ type, payload }) =>
      type === 'error' ? payload : ((payload as { errors?: object[] } | undefined)?.errors ?? []),
    ) as { message: string; extensions: Record<string, unknown> }[]
  }

  it('checks path, subprotocol and origin before it opens', async () => {
    const at = (path: string, protocol?: string, headers = {}) =>
      handshake(host.url.replace('http', 'ws') + path, protocol, headers)
    expect(await at('/graphql', 'graphql-transport-ws')).toBe('open')
    expect(await at('/graphql', 'graphql-transport-ws', { origin: host.url })).toBe('open')
    expect(await at('/graphql', 'graphql-ws')).toBe('refused')
    expect(await at('/graphql')).toBe('refused')
    expect(await at('/', 'graphql-transport-ws')).toBe('refused')
    expect(await at('/graphql', 'graphql-transport-ws', { origin: 'https://evil.test' })).toBe('refused')
    expect(await at('/graphql', 'graphql-transport-ws', { 'sec-fetch-site': 'cross-site' })).toBe('refused')
  })

  it('acknowledges a hello and answers pings', async () => {
    const socket = await talk(host.socketUrl)
    await socket.greet(hello())
    socket.send({ type: 'ping' })
    const answers = await socket.until(({ type }) => type === 'pong')
    expect(answers.map(({ type }) => type)).toEqual(['connection_ack', 'pong'])
    socket.close()
  })

  it('answers queries and mutations, then says that they are complete', async () => {
    const [next, complete] = await answersTo(viewer)
    expect(next).toMatchObject({ type: 'next', payload: { data: { viewer: { actor: {} } } } })
    expect(complete).toMatchObject({ type: 'complete', id: '1' })
    const archive = 'mutation { archive(input: { refs: ["team/none"], ifRevision: 0 }) { errors { __typename } } }'
    const [answer] = await answersTo(archive)
    expect(answer).toHaveProperty('payload.data.archive.errors')
  })

  it.each([
    'nonsense',
    '[]',
    '7',
    '{}',
    '{"type":"start"}',
    '{"type":"subscribe"}',
    '{"type":"subscribe","id":"","payload":{}}',
  ])('closes with 4400 at a message that is none: %s', async (message) =>
    expect(await closed(host.socketUrl, hello(), message)).toBe(4400),
  )

  it('closes with 4401 at an operation before hello', async () =>
    expect(await closed(host.socketUrl, operation(viewer))).toBe(4401))

  it('closes with 4403 without a good token', async () => {
    const strangers: unknown[] = [
      undefined,
      {},
      { authorization: 7 },
      { authorization: `Bearer sla_${'x'.repeat(40)}` },
    ]
    for (const payload of strangers)
      expect(await closed(host.socketUrl, { type: 'connection_init', payload } as Message)).toBe(4403)
  })

  it('closes with 4408 when nobody says hello', async () => expect(await closed(host.socketUrl)).toBe(4408))

  it('closes with 4409 at a second operation of the same id', async () =>
    expect(await closed(host.socketUrl, hello(), 'acknowledged', operation(events), operation(events))).toBe(4409))

  it('closes with 4429 at a second hello', async () =>
    expect(await closed(host.socketUrl, hello(), hello())).toBe(4429))

  it('closes at a message of more than a mebibyte', async () => {
    const huge = operation(viewer, '1', { x: 'x'.repeat(1024 * 1024) })
    expect([1006, 1009]).toContain(await closed(host.socketUrl, hello(), 'acknowledged', huge))
  })

  it('applies the same limits and the same error words as HTTP', async () => {
    const extensions = { code: 'BAD_DOCUMENT', requestId: expect.stringMatching(/^cor_/), retryable: false }
    for (const query of ['{', '{ nope }', 'subscription { nope }', 'subscription { events(after: 7) { cursor } }'])
      expect(
        (await errorsOf(query)).map((error) => error.extensions),
        query,
      ).toEqual([extensions])
    const [secret] = await errorsOf('query($first: Int) { tenant { projects(first: $first) { nodes { name } } } }', {
      first: 'sk-secret',
    })
    expect(secret).toMatchObject({ extensions: { code: 'BAD_DOCUMENT' } })
    expect(JSON.stringify(secret)).not.toContain('sk-secret')
    const aliases = Array.from({ length: 200 }, (_, index) => `a${index}: viewer { actor { name } }`).join(' ')
    const nested = `{ ${'a {'.repeat(4_000)} b ${'}'.repeat(4_001)}`
    for (const query of [`{ ${aliases} }`, nested, `# ${'x'.repeat(200_000)}\n${viewer}`])
      expect((await errorsOf(query))[0]?.extensions).toMatchObject({ code: 'TOO_COMPLEX' })
    const nonsense = await errorsOf(events, { after: 'nonsense' })
    expect(nonsense[0]?.extensions).toMatchObject({ code: 'BAD_DOCUMENT' })
  })

  it('bounds how many operations one socket may have open', async () => {
    const socket = await talk(host.socketUrl)
    await socket.greet(hello())
    socket.send(...Array.from({ length: 60 }, (_, index) => operation(events, `${index}`)))
    const [refused] = (await socket.until(({ type }) => type === 'error')).slice(-1)
    expect(refused).toMatchObject({ payload: [{ extensions: { code: 'TOO_MANY_STREAMS', retryable: true } }] })
    socket.close()
  })

  it('closes with 4403 at the next operation after its key was revoked', async () => {
    const { data: seen } = await ask('{ tenant { principals { nodes { id } } } }')
    const principal = seen.tenant.principals.nodes[0].id
    const input = { idempotencyKey: crypto.randomUUID(), kind: 'ADMIN', name: 'short-lived', principal }
    const issued = await ask('mutation($input: ApiKeyIssueInput!) { apiKeyIssue(input: $input) { secret } }', { input })
    const socket = await talk(host.socketUrl)
    await socket.greet(hello(issued.data.apiKeyIssue.secret))
    socket.send(operation(viewer))
    await socket.until(({ type }) => type === 'complete')
    const revoked = await ask(
      'mutation($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { errors { message } } }',
      {
        input: { apiKey: 'api-key/short-lived', reason: 'test' },
      },
    )
    expect(revoked.data.apiKeyRevoke.errors).toEqual([])
    socket.send(operation(viewer, '2'))
    expect(await socket.closed).toBe(4403)
  })

  it('brings each change once and in order, through a socket that is cut again and again', async () => {
    const changes = 12
    const after = await declareTeams(changes)
    const stop = new AbortController()
    const seen: string[] = []
    const client = socketClient({ url: host.socketUrl, token: () => host.token })
    let socket: WebSocket | undefined
    client.on('opened', (opened) => {
      socket = opened as WebSocket
    })
    const source = socketStream<{ cursor: string; changes: { ref: string }[] }>(client, events)
    for await (const event of live(source, { after, signal: stop.signal, waitMs: 10 })) {
      seen.push(event.changes[0]!.ref)
      if (seen.length % 3 === 0) socket!.close(4999, 'cut')
      if (seen.length === changes) stop.abort()
    }
    await client.dispose()
    expect(seen).toEqual(Array.from({ length: changes }, (_, index) => `team/ws-${index}`))
  })

  /** One change each; the cursor before the first. */
  async function declareTeams(count: number): Promise<string> {
    const spend = 'spend(window: { from: "2026-01-01T00:00:00Z" }, interval: TOTAL) { cursor }'
    const { data: before } = await ask(`{ tenant { configRevision } ${spend} }`)
    let ifRevision = before.tenant.configRevision
    for (let index = 0; index < count; index++) {
      const input = { ifRevision, resources: [{ team: { name: `ws-${index}` } }] }
      const apply = 'mutation($input: ApplyInput!) { apply(input: $input) { errors { message } revision } }'
      const { data } = await ask(apply, { input })
      expect(data.apply.errors).toEqual([])
      ifRevision = data.apply.revision
    }
    return before.spend.cursor
  }

  it('met no fault', () => expect(host.faults()).toEqual([]))
})
