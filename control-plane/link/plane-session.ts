import { createPublicKey, randomBytes, sign, verify } from 'node:crypto'
import {
  type Ability,
  type ControlMessage,
  helloStatement,
  linkFrameBytesMax,
  linkVersion,
  type PlaneMessage,
  type ProviderCheckAsk,
  planeMessage,
  providerCheckMsMax,
  unacknowledgedBytesMax,
  welcomeStatement,
} from '../../schema/link.ts'
import type { SharesTaken } from '../../schema/link-shares.ts'
import type { SignedDocument } from '../domain/installation.ts'
import type { LinkedInstance, LinkName } from '../domain/planes.ts'
import { coalesce } from './coalesce.ts'
import type { LinkDomain } from './domain.ts'
import type { PartTokens } from './part-tokens.ts'
import type { RefusalCode } from './refusal-notes.ts'
import { type Outlet, SendQueue } from './send-queue.ts'
import type { OnlineKey } from './trust.ts'

/** A link that says nothing for this long is dead. Planes send a heartbeat every 5 s. */
export const silenceMsMax = 20_000
export const helloMsMax = 10_000
/** Before a plane has proved who it is, it may say one thing of at most this size. */
const helloBytesMax = 2 * 1024 * 1024
/** Lease calls of one link that may be under way; a plane has one for each of its budgets at a time. */
export const leaseCallsMax = 256
/** Checks that a plane may leave unanswered; older ones are forgotten. */
const checksMax = 64

type Hello = Extract<PlaneMessage, { type: 'hello' }>
type Heartbeat = Extract<PlaneMessage, { type: 'heartbeat' }>
type Records = Extract<PlaneMessage, { type: 'records' }>
type LeaseCall = Extract<PlaneMessage, { type: 'leaseCall' }>
type Checked = Extract<PlaneMessage, { type: 'providerChecked' }>

/** What a session asks of the table of all sessions. */
export interface SessionHost {
  domain: LinkDomain
  online: OnlineKey
  partTokens: PartTokens
  /** The trust roots that lead on from the one a plane has pinned. */
  rootsAfter(pinnedVersion: number): SignedDocument[]
  /** The link is believed: it takes the place of an older one of the same instance and is brought up to date. */
  opened(session: PlaneSession): void
  /** Something was refused that a well-behaved plane does not send: it is audited, within bounds. */
  refused(instance: LinkedInstance, code: RefusalCode, reason: string, tenants?: readonly string[]): void
  log(level: 'info' | 'warn' | 'error', sentence: string): void
}

/** Why a link ends: a word for the log, a sentence for the plane. */
interface Fault {
  code: RefusalCode
  reason: string
}

const frameTooLarge: Fault = { code: 'too_large', reason: `A frame is larger than ${linkFrameBytesMax} bytes.` }
const notEnrolled: Fault = {
  code: 'not_enrolled',
  reason: 'This instance is not enrolled here. Enrol it again with a new token.',
}

/** What a plane holds of a tenant, or was sent. */
export interface Held {
  contentDigest: string | null
  deltaNumber: number
}

/** One plane's link: challenge, hello, welcome; then heartbeats and records in, acknowledgements, deltas and snapshots out. */
export class PlaneSession {
  /** When the plane last said something, by the clock that never goes back. */
  heardAtMs: number
  /** Of two links of one instance the one with the higher epoch is the newer. */
  epoch = 0
  readonly #host: SessionHost
  readonly #socket: Outlet & { close(code?: number, reason?: string): unknown }
  readonly #queue: SendQueue
  readonly #nonce = randomBytes(24).toString('base64url')
  readonly #held = new Map<string, Held>()
  readonly #offers = new Map<string, { contentDigest: string; manifest: Buffer; digests: ReadonlySet<string> }[]>()
  readonly #checks = new Set<string>()
  #can: ReadonlySet<string> = new Set()
  #instance: LinkedInstance | undefined
  #state: 'awaiting hello' | 'opening' | 'open' | 'closed' = 'awaiting hello'
  #records: Promise<void> = Promise.resolve()
  #recordBytes = 0
  #leaseCalls = 0
  #heartbeat: Heartbeat | undefined
  readonly #noteHeartbeat = coalesce(() => this.#note())

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
  get instance(): LinkedInstance {
    if (!this.#instance) throw new Error('a link was used before its plane had proved who it is')
    return this.#instance
  }

  get name(): LinkName {
    return { instance: this.instance.id, epoch: this.epoch }
  }

  /** Whether the plane says that it can do what not every plane can. */
  can(ability: Ability): boolean {
    return this.#can.has(ability)
  }

  /** Asks for a call to a provider; what comes of it goes to the domain. */
  askCheck(check: Omit<ProviderCheckAsk, 'type' | 'timeoutMs'>): void {
    this.#checks.add(check.id)
    if (this.#checks.size > checksMax) this.#checks.delete(this.#checks.values().next().value!)
    this.send({ type: 'providerCheck', ...check, timeoutMs: providerCheckMsMax }, 'urgent')
  }

  /** What the plane holds of a tenant, to be kept up to date by who sends it more. */
  heldOf(tenant: string): Held {
    const held = this.#held.get(tenant) ?? { contentDigest: null, deltaNumber: 0 }
    this.#held.set(tenant, held)
    return held
  }

  /** Takes one frame. Records are worked on one after the other; nothing else waits for them. */
  receive(frame: string | Buffer): void {
    if (this.#state === 'closed') return
    this.heardAtMs = performance.now()
    const fault = this.#takeFrame(frame)
    if (fault) this.#refuse(fault)
  }

  /** A frame beyond what may be sent; the socket may have dropped it unread. */
  tooLarge(): void {
    this.#refuse(frameTooLarge)
  }

  #takeFrame(frame: string | Buffer): Fault | undefined {
    const bytes = Buffer.byteLength(frame)
    if (typeof frame !== 'string') return { code: 'malformed', reason: 'Only text frames are understood.' }
    if (bytes > linkFrameBytesMax) return frameTooLarge
    if (this.#state !== 'open' && bytes > helloBytesMax)
      return { code: 'too_large', reason: `A hello has at most ${helloBytesMax} bytes.` }
    const message = readMessage(frame)
    if (message === 'unknown') return undefined
    return message === 'malformed'
      ? { code: 'malformed', reason: 'A message could not be read.' }
      : this.#take(message, bytes)
  }

  #take(message: PlaneMessage, bytes: number): Fault | undefined {
    if (this.#state === 'awaiting hello') {
      this.#state = 'opening'
      this.#guarded(this.#open(message))
      return undefined
    }
    if (this.#state !== 'open') return { code: 'malformed', reason: 'It spoke before its welcome.' }
    if (message.type === 'records') return this.#queueRecords(message, bytes)
    if (message.type === 'leaseCall') return this.#beginLeaseCall(message)
    if (message.type === 'hello') return { code: 'malformed', reason: 'It said hello twice.' }
    if (message.type === 'providerChecked') this.#checked(message)
    else if (message.type === 'sharesTaken') this.#sharesTaken(message)
    else if (message.type === 'heartbeat') this.#beat(message)
    return undefined
  }

  #queueRecords(batch: Records, bytes: number): Fault | undefined {
    this.#recordBytes += bytes
    if (this.#recordBytes > unacknowledgedBytesMax)
      return { code: 'too_large', reason: 'More records wait for an answer than may.' }
    this.#records = this.#records.then(async () => {
      if (this.#state !== 'closed') await this.#guarded(this.#takeRecords(batch))
      this.#recordBytes -= bytes
    })
    return undefined
  }

  /** Beside records, never behind them; one that waits for money holds up no other. */
  #beginLeaseCall(call: LeaseCall): Fault | undefined {
    if (this.#leaseCalls >= leaseCallsMax)
      return { code: 'too_large', reason: 'More lease calls wait for an answer than may.' }
    // One that it served before may still get its money back.
    if (call.wants.length > 0 && !this.instance.serves.includes(call.tenant))
      return { code: 'leases', reason: 'It asked for money of a tenant that it does not serve.' }
    this.#leaseCalls += 1
    this.#guarded(this.#answerLeaseCall(call)).finally(() => {
      this.#leaseCalls -= 1
    })
    return undefined
  }

  async #answerLeaseCall(call: LeaseCall): Promise<void> {
    const answer = await this.#host.domain.leaseCall(this.name, call)
    if ('fault' in answer) this.#refuse({ code: 'leases', reason: answer.fault })
    else this.send(answer, 'urgent')
  }

  /** What fails is this side's fault: the plane comes back and is told again. Never rejects. */
  #guarded(work: Promise<void>): Promise<void> {
    return work.catch((error) => {
      this.#host.log('error', `A message of a plane could not be worked on: ${String(error)}`)
      this.end('The control plane met a fault of its own; try again.')
    })
  }

  /** Ends the link over something that a well-behaved plane does not send. */
  #refuse({ code, reason }: Fault, claimed?: LinkedInstance): void {
    const instance = this.#instance ?? claimed
    if (instance) this.#host.refused(instance, code, reason)
    this.end(reason)
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

  /** Notes which parts of a tenant this plane may fetch: those of the newest snapshot it was told of, and of the one before. */
  offer(tenant: string, contentDigest: string, manifest: Buffer, digests: ReadonlySet<string>): void {
    const before = this.#offers.get(tenant)?.slice(0, 1) ?? []
    this.#offers.set(tenant, [{ contentDigest, manifest, digests }, ...before])
  }

  /** A manifest by its digest, or `true` where the digest is a part of this tenant's that this plane may have. */
  offered(tenant: string, digest: string): Buffer | boolean {
    const offers = this.#offers.get(tenant) ?? []
    const manifest = offers.find(({ contentDigest }) => contentDigest === digest)?.manifest
    return manifest ?? offers.some(({ digests }) => digests.has(digest))
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

  async #open(hello: PlaneMessage): Promise<void> {
    if (hello.type !== 'hello') return this.end('A link begins with hello.')
    const { domain } = this.#host
    const instance = await domain.findInstance(hello.instance)
    const fault = this.#faultOf(hello, instance)
    if (fault || !instance) return this.#refuse(fault ?? notEnrolled, instance)
    const epoch = await domain.openEpoch(instance.id, hello)
    const serves = new Set(instance.serves)
    await domain.noteHeld(hello.held.filter(({ tenant }) => serves.has(tenant)))
    const heads = await domain.chainHeads(instance.id)
    // Nobody else knows of this link yet, so nobody else would say that it is gone.
    if (this.state === 'closed') return domain.gone({ instance: instance.id, epoch })
    this.#instance = instance
    this.epoch = epoch
    this.#can = new Set(hello.can)
    for (const { tenant, contentDigest, deltaNumber } of hello.held)
      if (serves.has(tenant)) this.#held.set(tenant, { contentDigest, deltaNumber })
    this.send(this.#welcome(hello, epoch, heads), 'urgent')
    this.#state = 'open'
    this.#host.opened(this)
  }

  #faultOf(hello: Hello, instance: LinkedInstance | undefined): Fault | undefined {
    const reason = `It speaks version ${hello.linkVersion} of the link; this is ${linkVersion}. Update the older one.`
    if (Math.abs(hello.linkVersion - linkVersion) > 1) return { code: 'version', reason }
    const isEnrolled = instance && instance.serves.length > 0 && this.#isSignedBy(instance, hello)
    return isEnrolled ? undefined : notEnrolled
  }

  #isSignedBy(instance: LinkedInstance, hello: Hello): boolean {
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
      serves: this.instance.serves,
    }
  }

  #sharesTaken({ type: _, ...taken }: SharesTaken & { type: 'sharesTaken' }): void {
    if (!this.instance.serves.includes(taken.tenant)) return
    this.#guarded(this.#host.domain.sharesTaken(this.instance.id, taken).then(() => undefined))
  }

  /** Only what was asked for; anything else has no place to go. */
  #checked({ id, tenant, finding }: Checked): void {
    if (!this.#checks.delete(id)) return
    this.#guarded(this.#host.domain.noteFinding(this.instance.id, { tenant, id, finding }))
  }

  /** Answered at once; of several that wait to be noted, the newest says it all. */
  #beat(heartbeat: Heartbeat): void {
    const { sentAtMs } = heartbeat
    this.send({ type: 'heartbeatAck', sentAtMs, serverTimeMs: this.#host.domain.now() }, 'urgent', 'heartbeat')
    this.#heartbeat = heartbeat
    this.#guarded(this.#noteHeartbeat())
  }

  async #note(): Promise<void> {
    if (this.#state === 'closed' || !this.#heartbeat) return
    const serves = new Set(this.instance.serves)
    const applied = this.#heartbeat.applied.filter(({ tenant }) => serves.has(tenant))
    const isNewest = await this.#host.domain.seen(this.name, { ...this.#heartbeat, applied })
    if (!isNewest) this.end('A newer link of this instance has opened.')
  }

  async #takeRecords(batch: Records): Promise<void> {
    const { tenant, epoch } = batch
    const answer = await this.#host.domain.acceptRecords(this.instance.id, batch)
    if (!('refused' in answer))
      return this.send({ type: 'recordsAck', head: answer.head }, 'ordinary', `ack ${tenant} ${epoch}`)
    const reason = answer.reason.slice(0, 500)
    this.send({ type: 'recordsRefused', tenant, epoch, head: answer.head, reason }, 'ordinary')
    if (answer.head !== null) return
    const own = this.instance.serves.includes(tenant) ? [tenant] : this.instance.serves
    this.#host.refused(this.instance, 'records', reason, own)
  }
}

const knownTypes: ReadonlySet<unknown> = new Set([
  'hello',
  'heartbeat',
  'records',
  'providerChecked',
  'leaseCall',
  'sharesTaken',
])

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
