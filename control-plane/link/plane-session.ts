import { createPublicKey, randomBytes, sign, verify } from 'node:crypto'
import {
  type ControlMessage,
  helloStatement,
  linkFrameBytesMax,
  linkVersion,
  type PlaneMessage,
  planeMessage,
  unacknowledgedBytesMax,
  welcomeStatement,
} from '../../schema/link.ts'
import type { SignedDocument } from '../domain/installation.ts'
import type { Instance } from '../domain/planes.ts'
import type { LinkDomain } from './domain.ts'
import type { PartTokens } from './part-tokens.ts'
import { type Outlet, SendQueue } from './send-queue.ts'
import type { OnlineKey } from './trust.ts'

/** A link that says nothing for this long is dead. Planes send a heartbeat every 5 s. */
export const silenceMsMax = 20_000
export const helloMsMax = 10_000
/** Before a plane has proved who it is, it may say one thing of at most this size. */
const helloBytesMax = 2 * 1024 * 1024

type Hello = Extract<PlaneMessage, { type: 'hello' }>
type Records = Extract<PlaneMessage, { type: 'records' }>

/** What a session asks of the table of all sessions. */
export interface SessionHost {
  domain: LinkDomain
  online: OnlineKey
  partTokens: PartTokens
  /** The trust roots that lead on from the one a plane has pinned. */
  rootsAfter(pinnedVersion: number): SignedDocument[]
  /** The link is believed: it takes the place of an older one of the same instance and is brought up to date. */
  opened(session: PlaneSession): void
  log(level: 'info' | 'warn' | 'error', sentence: string): void
}

/** One plane's link: challenge, hello, welcome; then heartbeats and records in, acknowledgements, deltas and snapshots out. */
export class PlaneSession {
  /** What the plane holds or was sent. */
  held: { contentDigest: string | null; deltaNumber: number } = { contentDigest: null, deltaNumber: 0 }
  /** When the plane last said something, by the clock that never goes back. */
  heardAtMs: number
  /** Of two links of one instance the one with the higher epoch is the newer. */
  epoch = 0
  readonly #host: SessionHost
  readonly #socket: Outlet & { close(code?: number, reason?: string): unknown }
  readonly #queue: SendQueue
  readonly #nonce = randomBytes(24).toString('base64url')
  readonly #offers: { contentDigest: string; manifest: Buffer; digests: ReadonlySet<string> }[] = []
  #instance: Instance | undefined
  #state: 'awaiting hello' | 'opening' | 'open' | 'closed' = 'awaiting hello'
  #work: Promise<void> = Promise.resolve()
  #waitingBytes = 0

  constructor(socket: Outlet & { close(code?: number, reason?: string): unknown }, host: SessionHost) {
    this.#socket = socket
    this.#host = host
    this.#queue = new SendQueue(socket)
    this.heardAtMs = performance.now()
    this.send({ type: 'challenge', linkVersion, nonce: this.#nonce }, 'urgent')
  }

  get state() {
    return this.#state
  }

  /** Who is at the other end; only after it proved so. */
  get instance(): Instance {
    if (!this.#instance) throw new Error('a link was used before its plane had proved who it is')
    return this.#instance
  }

  /** Takes one frame. Frames are worked on in their order; what waits is bounded. */
  receive(frame: string | Buffer): void {
    if (this.#state === 'closed') return
    const bytes = Buffer.byteLength(frame)
    this.#waitingBytes += bytes
    if (typeof frame !== 'string') this.end('Only text frames are understood.')
    else if (bytes > linkFrameBytesMax) this.end(`A frame is larger than ${linkFrameBytesMax} bytes.`)
    else if (this.#state !== 'open' && this.#waitingBytes > helloBytesMax) this.end('A hello is smaller than that.')
    else if (this.#waitingBytes > unacknowledgedBytesMax) this.end('More was sent than may wait for an answer.')
    else this.#queueWork(frame, bytes)
  }

  #queueWork(frame: string, bytes: number): void {
    this.heardAtMs = performance.now()
    this.#work = this.#work.then(async () => {
      await this.#take(frame)
      this.#waitingBytes -= bytes
    })
  }

  /** Queues a message; a plane that reads too slowly loses its link and comes back to be told what it lacks. */
  send(message: ControlMessage, urgency: 'urgent' | 'ordinary', key?: string): void {
    if (this.#state === 'closed') return
    if (!this.#queue.push(message, { urgent: urgency === 'urgent', key }))
      this.end('It reads more slowly than it is written to.')
  }

  /** The socket has room again. */
  drained(): void {
    this.#queue.flush()
  }

  /** Notes which parts this plane may fetch: those of the newest snapshot it was told of, and of the one before. */
  offer(contentDigest: string, manifest: Buffer, digests: ReadonlySet<string>): void {
    this.#offers.unshift({ contentDigest, manifest, digests })
    this.#offers.length = Math.min(this.#offers.length, 2)
  }

  /** A manifest by its digest, or `true` where the digest is a part this plane may have. */
  offered(digest: string): Buffer | boolean {
    const manifest = this.#offers.find(({ contentDigest }) => contentDigest === digest)?.manifest
    return manifest ?? this.#offers.some(({ digests }) => digests.has(digest))
  }

  /** Says why, and closes. */
  end(reason: string): void {
    if (this.#state === 'closed') return
    const goodbye: ControlMessage = { type: 'goodbye', reason }
    this.#socket.send(JSON.stringify(goodbye))
    this.#state = 'closed'
    this.#socket.close(1000, 'goodbye')
  }

  /** The socket is gone. */
  closed(): void {
    this.#state = 'closed'
  }

  async #take(frame: string): Promise<void> {
    if (this.#state === 'closed') return
    const message = readMessage(frame)
    if (message === 'unknown') return
    if (message === 'malformed') return this.end('A message could not be read.')
    try {
      if (this.#state === 'awaiting hello') await this.#open(message)
      else if (message.type === 'heartbeat') await this.#beat(message)
      else if (message.type === 'records') await this.#takeRecords(message)
      else this.end('It said hello twice.')
    } catch (error) {
      this.#host.log('error', `A message of a plane could not be worked on: ${String(error)}`)
      this.end('The control plane met a fault of its own; try again.')
    }
  }

  async #open(hello: PlaneMessage): Promise<void> {
    if (hello.type !== 'hello') return this.end('A link begins with hello.')
    if (Math.abs(hello.linkVersion - linkVersion) > 1)
      return this.end(
        `It speaks version ${hello.linkVersion} of the link; this is ${linkVersion}. Update the older one.`,
      )
    this.#state = 'opening'
    const instance = await this.#host.domain.findInstance(hello.instance)
    if (!instance || instance.state === 'RETIRED' || !this.#isSignedBy(instance, hello))
      return this.end('This instance is not enrolled here. Enrol it again with a new token.')
    const epoch = await this.#host.domain.openEpoch(instance.id, hello)
    const heads = await this.#host.domain.chainHeads(instance.id)
    // Nobody else knows of this link yet, so nobody else would say that it is gone.
    if (this.state === 'closed') return this.#host.domain.gone(instance.id)
    this.#instance = instance
    this.epoch = epoch
    const own = hello.held.find(({ tenant }) => tenant === instance.tenant)
    if (own) this.held = { contentDigest: own.contentDigest, deltaNumber: own.deltaNumber }
    this.send(this.#welcome(hello, epoch, heads), 'urgent')
    this.#state = 'open'
    this.#host.opened(this)
  }

  #isSignedBy(instance: Instance, hello: Hello): boolean {
    const statement = helloStatement(this.#nonce, hello.nonce, instance.id)
    return verify(null, statement, createPublicKey(instance.signingKey), Buffer.from(hello.signature, 'base64'))
  }

  #welcome(hello: Hello, epoch: number, heads: Extract<ControlMessage, { type: 'welcome' }>['heads']): ControlMessage {
    const { online, domain, partTokens, rootsAfter } = this.#host
    const statement = welcomeStatement(this.#nonce, hello.nonce, hello.instance, epoch)
    return {
      type: 'welcome',
      epoch,
      keyid: online.id,
      signature: sign(null, statement, online.key).toString('base64'),
      partToken: partTokens.issue({ instance: hello.instance, epoch }),
      serverTimeMs: domain.now(),
      roots: rootsAfter(hello.rootVersion),
      heads,
    }
  }

  async #beat(heartbeat: Extract<PlaneMessage, { type: 'heartbeat' }>): Promise<void> {
    const { sentAtMs } = heartbeat
    const serverTimeMs = this.#host.domain.now()
    this.send({ type: 'heartbeatAck', sentAtMs, serverTimeMs }, 'ordinary', 'heartbeat')
    await this.#host.domain.seen(this.instance.id, heartbeat)
  }

  async #takeRecords(batch: Records): Promise<void> {
    const { tenant, epoch } = batch
    if (tenant !== this.instance.tenant) {
      const reason = 'This plane does not serve that tenant.'
      return this.send({ type: 'recordsRefused', tenant, epoch, head: null, reason }, 'ordinary')
    }
    const answer = await this.#host.domain.acceptRecords(this.instance.id, batch)
    if (!('refused' in answer))
      return this.send({ type: 'recordsAck', head: answer.head }, 'ordinary', `ack ${tenant} ${epoch}`)
    const reason = answer.reason.slice(0, 500)
    this.send({ type: 'recordsRefused', tenant, epoch, head: answer.head, reason }, 'ordinary')
  }
}

const knownTypes: ReadonlySet<unknown> = new Set(['hello', 'heartbeat', 'records'])

/** A type that only a newer peer knows is passed over. */
function readMessage(frame: string): PlaneMessage | 'unknown' | 'malformed' {
  let json: unknown
  try {
    json = JSON.parse(frame)
  } catch {
    return 'malformed'
  }
  if (typeof json !== 'object' || json === null) return 'malformed'
  if (!knownTypes.has((json as { type?: unknown }).type)) return 'unknown'
  return planeMessage.safeParse(json).data ?? 'malformed'
}
