import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ServerWebSocket } from 'bun'
import { afterEach, describe, expect, it } from 'vitest'
import { keyIdOf, type Seal } from '../../air-gap/seal.ts'
import { describeRoot, sealRoot } from '../../air-gap/trust-root.ts'
import { linkFrameBytesMax, welcomeStatement } from '../../schema/link.ts'
import { type InstanceIdentity, openInstance } from './instance-identity.ts'
import { LinkSession } from './link-session.ts'
import { SnapshotStore } from './snapshot-store.ts'

const undo: (() => unknown)[] = []
afterEach(async () => {
  for (const end of undo.splice(0).reverse()) await end()
})

const makeKey = () => generateKeyPairSync('ed25519').privateKey
const keys = { root: makeKey(), nextRoot: makeKey(), online: makeKey(), nextOnline: makeKey() }
const rootOf = (
  version: number,
  root: KeyObject,
  online: KeyObject,
  signers: KeyObject[],
  expiresAtMs = Date.now() + 60_000,
): Seal =>
  sealRoot(
    describeRoot({
      installation: 'slc_1',
      version,
      expiresAtMs,
      roles: { root: { keys: [root], threshold: 1 }, online: { keys: [online], threshold: 1 } },
    }),
    signers,
  )
const serverNonce = randomBytes(16).toString('hex')

interface Script {
  trustRoot?: Seal
  /** What the welcome says; undefined sends none. */
  welcome?: (hello: { nonce: string; instance: string }) => object
  challenge?: object
  after?: (ws: ServerWebSocket<undefined>) => void
}

const welcomeBy =
  (key: KeyObject, change: object = {}) =>
  (hello: { nonce: string; instance: string }) => ({
    type: 'welcome',
    epoch: 4,
    keyid: keyIdOf(key),
    signature: sign(null, welcomeStatement(serverNonce, hello.nonce, hello.instance, 4), key).toString('base64'),
    partToken: 'token',
    serverTimeMs: Date.now(),
    roots: [],
    heads: [],
    ...change,
  })

/** A control plane that says what a test makes it say. */
const play = async (script: Script) => {
  const dataDir = mkdtempSync(join(tmpdir(), 'sluice-session-'))
  const server = Bun.serve<undefined>({
    port: 0,
    hostname: '127.0.0.1',
    fetch: (request, server) => {
      if (request.url.endsWith('/enroll'))
        return Response.json({
          instance: 'ins_1',
          dataPlane: 'dpl_1',
          trustRoot: script.trustRoot ?? rootOf(1, keys.root, keys.online, [keys.root]),
        })
      return server.upgrade(request) ? undefined : new Response(null, { status: 404 })
    },
    websocket: {
      open: (ws) =>
        void ws.send(JSON.stringify(script.challenge ?? { type: 'challenge', linkVersion: 1, nonce: serverNonce })),
      message: (ws, frame) => {
        const message = JSON.parse(String(frame))
        if (message.type !== 'hello') return
        if (script.welcome) ws.send(JSON.stringify(script.welcome(message)))
        script.after?.(ws)
      },
    },
  })
  const about = { controlUrl: `http://127.0.0.1:${server.port}`, host: 'test', version: '0.1.0' }
  const identity = (await openInstance({ ...about, dataDir, token: 'sle_x' })) as InstanceIdentity
  const clock = { now: Date.now, monotonic: () => performance.now() }
  const snapshots = await SnapshotStore.open({ dataDir, identity, clock, version: '0.1.0', log: () => {} })
  const records = {
    pending: () => [],
    next: () => [],
    acked() {},
    refused() {},
    onDurable: () => () => {},
    deliveredThroughMs: () => null,
  }
  const epochs: number[] = []
  const session = new LinkSession(
    { ...about, identity, snapshots, records, clock, log: () => {} },
    { opened: (epoch) => epochs.push(epoch), clockOffset() {} },
  )
  undo.push(
    () => rmSync(dataDir, { recursive: true, force: true }),
    () => identity.close(),
    () => server.stop(true),
    () => session.close('end of test'),
  )
  return { session, epochs, identity, dataDir, about }
}
const opened = async (epochs: number[]) => {
  for (let waited = 0; epochs.length === 0 && waited < 2_000; waited += 5) await Bun.sleep(5)
  return epochs[0]
}

describe('a control plane is believed', () => {
  it('when a key of the pinned online role signed its welcome', async () => {
    const { epochs } = await play({ welcome: welcomeBy(keys.online) })
    expect(await opened(epochs)).toBe(4)
  })

  it('under a rotated root that the pinned one introduces; that one is pinned from then on', async () => {
    const rotated = rootOf(2, keys.nextRoot, keys.nextOnline, [keys.root, keys.nextRoot])
    const { epochs, identity, dataDir, about } = await play({
      welcome: welcomeBy(keys.nextOnline, { roots: [rotated] }),
    })
    expect(await opened(epochs)).toBe(4)
    expect(identity.root().document.version).toBe(2)
    identity.close()
    const again = (await openInstance({ ...about, dataDir, token: null })) as InstanceIdentity
    expect(again.root().document.version).toBe(2)
    again.close()
  })
})

describe('a control plane is not believed', () => {
  const refusedBy = async (script: Script) => {
    const { session, epochs } = await play(script)
    const reason = await session.ended
    expect(epochs).toEqual([])
    return reason
  }

  it('when its welcome is signed by another key, under the right name', async () => {
    const forged = welcomeBy(makeKey(), { keyid: keyIdOf(keys.online) })
    expect(await refusedBy({ welcome: forged })).toContain('not the control plane')
  })

  it('when its welcome is signed by the root key, which may not', async () => {
    expect(await refusedBy({ welcome: welcomeBy(keys.root) })).toContain('not the control plane')
  })

  it('when its signature is over another epoch, nonce or instance', async () => {
    expect(await refusedBy({ welcome: welcomeBy(keys.online, { epoch: 5 }) })).toContain('not the control plane')
    expect(
      await refusedBy({ welcome: ({ instance }) => welcomeBy(keys.online)({ nonce: 'replayed-nonce-00', instance }) }),
    ).toContain('not the control plane')
    expect(await refusedBy({ welcome: ({ nonce }) => welcomeBy(keys.online)({ nonce, instance: 'ins_2' }) })).toContain(
      'not the control plane',
    )
  })

  it('when it brings a root that the pinned one did not sign', async () => {
    const foreign = rootOf(2, keys.nextRoot, keys.nextOnline, [keys.nextRoot])
    expect(await refusedBy({ welcome: welcomeBy(keys.nextOnline, { roots: [foreign] }) })).toContain(
      'trust root is not believed',
    )
  })

  it('when the pinned root has expired', async () => {
    const trustRoot = rootOf(1, keys.root, keys.online, [keys.root], Date.now() - 1)
    expect(await refusedBy({ trustRoot, welcome: welcomeBy(keys.online) })).toContain('expired')
  })

  it('when it speaks before its welcome: no delta, no snapshot, no acknowledgement is taken', async () => {
    const early = (message: object) => refusedBy({ after: (ws) => void ws.send(JSON.stringify(message)) })
    expect(await early({ type: 'deltas', tenant: 'ten_1', deltas: [] })).toContain('before its welcome')
    expect(await early({ type: 'heartbeatAck', sentAtMs: 1, serverTimeMs: 1 })).toContain('before its welcome')
  })

  it('when it speaks a version of the link that is too far away', async () => {
    expect(await refusedBy({ challenge: { type: 'challenge', linkVersion: 3, nonce: serverNonce } })).toContain(
      'version 3',
    )
  })

  it('when a message cannot be read, is binary, or too large', async () => {
    const sent = (frame: string | Uint8Array<ArrayBuffer>) => refusedBy({ after: (ws) => void ws.send(frame) })
    expect(await sent('{"type":"welcome"}')).toContain('cannot be read')
    expect(await sent('{')).toContain('cannot be read')
    expect(await sent(new Uint8Array(3))).toContain('binary or too large')
    expect(await sent(' '.repeat(linkFrameBytesMax + 1))).toContain('too large')
  })
})

describe('a message that only a newer control plane knows', () => {
  it('is passed over', async () => {
    const { epochs } = await play({
      challenge: { type: 'challenge', linkVersion: 1, nonce: serverNonce },
      welcome: welcomeBy(keys.online, { inTheFuture: true }),
      after: (ws) => void ws.send('{"type":"fromTheFuture"}'),
    })
    expect(await opened(epochs)).toBe(4)
  })
})
