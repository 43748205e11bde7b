import { randomBytes, verify } from 'node:crypto'
import { isGapRefusal } from '../../air-gap/refusal.ts'
import { followRotations, isRootExpired, type VerifiedRoot } from '../../air-gap/trust-root.ts'
import {
  type Ability,
  type ControlMessage,
  controlMessage,
  helloStatement,
  linkFrameBytesMax,
  linkVersion,
  type PlaneMessage,
  type ProviderCheckAsk,
  welcomeStatement,
} from '../../schema/link.ts'
import type { Shares, SharesTaken } from '../../schema/link-shares.ts'
import type { InstanceIdentity } from './instance-identity.ts'
import type { LinkedLedger } from './ledger/lease-ledger.ts'
import { RecordDelivery } from './link-delivery.ts'
import { fetchPartOver } from './link-parts.ts'
import type { RecordSource } from './link-records.ts'
import type { CheckProvider } from './provider-check/checker.ts'
import type { Log, SnapshotStore } from './snapshot-store.ts'

export const heartbeatMs = 5_000
/** Until the welcome; and without a word from the control plane after it. */
const openMsMax = 10_000
const silenceMsMax = 15_000

export interface LinkOptions {
  controlUrl: string
  identity: InstanceIdentity
  snapshots: SnapshotStore
  records: RecordSource
  clock: { now(): number }
  version: string
  host: string
  /** Before the first delivery of a link: its epoch, of which new records' chains are. */
  onEpoch?: (epoch: number) => void
  /** The largest epoch that this instance's journal knows. */
  newestEpoch?: () => number
  /** Absent = no money is asked for here. */
  ledger?: LinkedLedger
  /** Absent = providers cannot be checked from here, and nobody asks for it. */
  checkProvider?: CheckProvider
  /** What has this instance's part of rate limits; 'STORE' = a shared store counts them, absent = nothing does. */
  shares?: LinkedShares | 'STORE'
  log: Log
}

/** Counts this instance's part of rate limits, and is told which that is. */
export interface LinkedShares {
  linkOpened(say: (taken: Omit<SharesTaken, 'type'>) => void): void
  dealt(shares: Shares): void
}

/** What one link tells the client. */
export interface LinkEvents {
  opened(epoch: number): void
  clockOffset(ms: number): void
}

type Welcome = Extract<ControlMessage, { type: 'welcome' }>

/** One WebSocket to the control plane, from challenge to close. `ended` resolves with why it ended, a sentence; never rejects. */
export class LinkSession {
  readonly ended: Promise<string>
  readonly #options: LinkOptions
  readonly #events: LinkEvents
  readonly #socket: WebSocket
  readonly #nonce = randomBytes(24).toString('base64url')
  readonly #closing = new AbortController()
  readonly #end: (reason: string) => void
  #serverNonce: string | undefined
  #partToken: string | undefined
  #delivery: RecordDelivery | undefined
  #timers: NodeJS.Timeout[] = []
  #heardMs = performance.now()

  constructor(options: LinkOptions, events: LinkEvents) {
    this.#options = options
    this.#events = events
    let resolve: (reason: string) => void = () => {}
    this.ended = new Promise((done) => (resolve = done))
    this.#end = resolve
    this.#socket = new WebSocket(linkUrl(options.controlUrl))
    this.#socket.onmessage = ({ data }) => this.#receive(data)
    this.#socket.onclose = () => this.close('The connection closed.')
    this.#socket.onerror = () => this.close('There is no connection.')
    this.#timers.push(setInterval(() => this.#watch(), 1_000))
  }

  get delivery(): RecordDelivery | undefined {
    return this.#delivery
  }

  close(reason: string): void {
    if (this.#closing.signal.aborted) return
    this.#closing.abort()
    for (const timer of this.#timers) clearInterval(timer)
    if (this.#delivery) this.#options.ledger?.linkClosed()
    this.#delivery?.close()
    this.#socket.close()
    this.#end(reason)
  }

  #receive(data: unknown): void {
    if (this.#closing.signal.aborted) return
    const fault = this.#takeFrame(data)
    if (fault) this.close(fault)
  }

  /** What is wrong with a frame, so that the link ends; undefined where all is well. */
  #takeFrame(data: unknown): string | undefined {
    if (typeof data !== 'string' || Buffer.byteLength(data) > linkFrameBytesMax)
      return 'The control plane sent a frame that is binary or too large.'
    const message = readMessage(data)
    if (message === 'unknown') return undefined
    if (message === 'malformed') return 'The control plane sent a message that cannot be read.'
    this.#heardMs = performance.now()
    return this.#take(message)
  }

  #take(message: ControlMessage): string | undefined {
    if (message.type === 'goodbye') return message.reason
    if (message.type === 'challenge') return this.#hello(message.nonce, message.linkVersion)
    if (message.type === 'welcome') return this.#welcome(message)
    // Nothing else is believed from a peer that has not proved it is the control plane.
    if (!this.#delivery) return 'The control plane spoke before its welcome.'
    if (message.type === 'snapshot') this.#takeSnapshot(message)
    else if (message.type === 'deltas') this.#takeDeltas(message)
    else if (message.type === 'recordsAck') this.#delivery.acked(message.head)
    else if (message.type === 'recordsRefused') this.#refused(message)
    else if (message.type === 'providerCheck') this.#check(message)
    else if (message.type === 'leaseAnswer') this.#options.ledger?.answered(message)
    else if (message.type === 'leaseRecall') this.#options.ledger?.recalled(message)
    else if (message.type === 'shares') this.#shares?.dealt(message)
    else if (message.type === 'heartbeatAck') this.#heartbeatAck(message)
    return undefined
  }

  #hello(serverNonce: string, serverVersion: number): string | undefined {
    if (this.#serverNonce) return 'The control plane challenged twice.'
    if (Math.abs(serverVersion - linkVersion) > 1)
      return `The control plane speaks version ${serverVersion} of the link; this is ${linkVersion}.`
    this.#serverNonce = serverNonce
    const { identity, version, host, snapshots, checkProvider, ledger, shares, newestEpoch } = this.#options
    const can: Ability[] = []
    if (checkProvider) can.push('providerCheck')
    if (ledger) can.push('leases')
    if (this.#shares) can.push('shares')
    this.#send({
      type: 'hello',
      linkVersion,
      instance: identity.instance,
      version,
      host,
      bootId: identity.bootId,
      epoch: newestEpoch?.(),
      nonce: this.#nonce,
      signature: identity.sign(helloStatement(serverNonce, this.#nonce, identity.instance)),
      rootVersion: identity.root().document.version,
      held: snapshots.held(),
      can,
      limitStore: shares === 'STORE',
    })
    return undefined
  }

  #welcome(welcome: Welcome): string | undefined {
    if (!this.#serverNonce || this.#delivery) return 'The control plane sent a welcome out of turn.'
    const root = this.#believe(welcome, this.#serverNonce)
    if (typeof root === 'string') return root
    const { identity, snapshots, records, onEpoch, ledger } = this.#options
    if (root !== identity.root()) identity.pinRoot(root)
    this.#partToken = welcome.partToken
    if (welcome.serves) snapshots.serveOnly(new Set(welcome.serves))
    snapshots.linkOpened()
    onEpoch?.(welcome.epoch)
    this.#events.opened(welcome.epoch)
    this.#delivery = new RecordDelivery(
      records,
      welcome.heads,
      (batch) => this.#send(batch),
      (error) => this.close(`Records could not be read for delivery: ${String(error)}`),
    )
    ledger?.linkOpened(welcome.epoch, (call) => this.#send(call))
    this.#shares?.linkOpened((taken) => this.#send({ type: 'sharesTaken', ...taken }))
    this.#beat()
    this.#timers.push(setInterval(() => this.#beat(), heartbeatMs))
    return undefined
  }

  get #shares(): LinkedShares | undefined {
    const { shares } = this.#options
    return shares === 'STORE' ? undefined : shares
  }

  /** The root by which this welcome is the control plane's, or why it is not. */
  #believe(welcome: Welcome, serverNonce: string): VerifiedRoot | string {
    const { identity, clock } = this.#options
    const root = followRotations(identity.root(), welcome.roots)
    if (isGapRefusal(root)) return `The control plane's trust root is not believed. ${root.sentence}`
    if (isRootExpired(root, clock.now())) return 'The pinned trust root has expired; enrol again.'
    const key = root.signers('online')?.keys.get(welcome.keyid)
    const statement = welcomeStatement(serverNonce, this.#nonce, identity.instance, welcome.epoch)
    if (!key || !verify(null, statement, key, Buffer.from(welcome.signature, 'base64')))
      return 'What answers is not the control plane that this instance was enrolled with.'
    return root
  }

  #takeSnapshot({ tenant, envelope }: Extract<ControlMessage, { type: 'snapshot' }>): void {
    const { controlUrl, snapshots, log } = this.#options
    const fetchPart = fetchPartOver({ controlUrl, tenant, partToken: this.#partToken!, closing: this.#closing.signal })
    snapshots.offer(tenant, envelope, fetchPart).then(
      (outcome) => {
        if (outcome === 'activated') this.#beat()
        else if (outcome === 'held') return
        // The next link is told of it again.
        else if ('unfetched' in outcome) this.close(`A snapshot could not be fetched. ${outcome.unfetched}`)
        else log('error', `A snapshot of ${tenant} was not taken (${outcome.refused}). ${outcome.sentence}`)
      },
      (error) => this.close(`A snapshot could not be kept: ${String(error)}`),
    )
  }

  #takeDeltas({ tenant, deltas }: Extract<ControlMessage, { type: 'deltas' }>): void {
    // Told at once, since they are in force; the store itself says where they could not be kept.
    this.#options.snapshots.applyDeltas(tenant, deltas).catch(() => undefined)
    this.#beat()
  }

  #refused(refusal: Extract<ControlMessage, { type: 'recordsRefused' }>): void {
    const { tenant, epoch, reason } = refusal
    this.#options.log('error', `Records of ${tenant}, epoch ${epoch}, were not taken. ${reason}`)
    this.#delivery?.refused(refusal)
  }

  /** Beside everything else: a provider that is slow to answer holds up nothing. */
  #check({ type: _, ...ask }: ProviderCheckAsk): void {
    const { checkProvider, log } = this.#options
    checkProvider?.(ask, this.#closing.signal).then(
      (finding) => this.#send({ type: 'providerChecked', id: ask.id, tenant: ask.tenant, finding }),
      () => log('error', `The check of provider ${ask.provider} met a fault of the gateway.`),
    )
  }

  #heartbeatAck({ sentAtMs, serverTimeMs }: Extract<ControlMessage, { type: 'heartbeatAck' }>): void {
    const nowMs = this.#options.clock.now()
    this.#options.snapshots.heard()
    const offsetMs = Math.round(serverTimeMs - (sentAtMs + nowMs) / 2)
    this.#options.ledger?.clockOffset(offsetMs)
    this.#events.clockOffset(offsetMs)
  }

  #beat(): void {
    if (this.#closing.signal.aborted) return
    const { clock, snapshots, records } = this.#options
    this.#send({
      type: 'heartbeat',
      sentAtMs: clock.now(),
      applied: snapshots.applied().map((one) => ({ ...one, recordsThroughMs: records.deliveredThroughMs(one.tenant) })),
      recordsThroughMs: records.deliveredThroughMs(),
    })
  }

  #watch(): void {
    const silentMs = performance.now() - this.#heardMs
    if (!this.#delivery && silentMs > openMsMax) this.close('The link did not open in time.')
    else if (silentMs > silenceMsMax) this.close('The control plane has been silent for too long.')
  }

  #send(message: PlaneMessage): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message))
  }
}

function linkUrl(controlUrl: string): string {
  const url = new URL('/plane/v1/link', controlUrl)
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:'
  return url.href
}

const knownTypes: ReadonlySet<unknown> = new Set([
  'challenge',
  'welcome',
  'snapshot',
  'deltas',
  'recordsAck',
  'recordsRefused',
  'providerCheck',
  'leaseAnswer',
  'leaseRecall',
  'shares',
  'heartbeatAck',
  'goodbye',
])

/** A type that only a newer peer knows is passed over. */
function readMessage(text: string): ControlMessage | 'unknown' | 'malformed' {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return 'malformed'
  }
  if (typeof json !== 'object' || json === null) return 'malformed'
  if (!knownTypes.has((json as { type?: unknown }).type)) return 'unknown'
  return controlMessage.safeParse(json).data ?? 'malformed'
}
