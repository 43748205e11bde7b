import { createSecretKey, type KeyObject } from 'node:crypto'
import { Decrypter, Encrypter } from 'age-encryption'
import { z } from 'zod'
import { type GapRefusal, isGapRefusal, refuseAtGap } from './refusal.ts'
import { openSeal, type Seal, seal } from './seal.ts'
import { contentKeyBytes } from './secrets.ts'
import { isRootExpired, type SigningRole, type VerifiedRoot } from './trust-root.ts'

/** What says that a content may be run: by whom, from when to when, and after which. The content is the same for all planes. */
export interface Envelope {
  schemaVersion: 1
  installation: string
  /** The role that signs; a plane takes only the one it was enrolled for. */
  role: SigningRole
  audience: { kind: 'instance' | 'fleet'; id: string }
  tenant: string
  /** Only grows, per tenant. */
  sequence: number
  contentDigest: string
  revision: number
  /** Number of the newest key delta that the content holds. */
  deltaNumber: number
  createdAtMs: number
  notBeforeMs: number
  expiresAtMs: number
  /** The oldest software that may run it, as in `0.1.0`. */
  minimumVersion: string
  /** The content key for the audience's age recipient, base64; null where the content holds no secrets. */
  contentKey: string | null
  /** Names of fields that a reader must know; others may be passed over. */
  critical: string[]
}

export const envelopeType = 'application/vnd.sluice.envelope.v1+json'

const ms = z.int().min(0)
const shape = {
  schemaVersion: z.literal(1),
  installation: z.string().min(1).max(64),
  role: z.enum(['online', 'site']),
  audience: z.strictObject({ kind: z.enum(['instance', 'fleet']), id: z.string().min(1).max(64) }),
  tenant: z.string().min(1).max(64),
  sequence: z.int().min(1),
  contentDigest: z.string().regex(/^[0-9a-f]{64}$/),
  revision: z.int().min(0),
  deltaNumber: z.int().min(0),
  createdAtMs: ms,
  notBeforeMs: ms,
  expiresAtMs: ms,
  minimumVersion: z.string().regex(/^\d{1,6}\.\d{1,6}\.\d{1,6}$/),
  contentKey: z.string().max(4_000).nullable(),
  critical: z.array(z.string().max(100)).max(32),
}
const envelopeShape = z.looseObject(shape)

/** Seals an envelope with the keys of its role. */
export function sealEnvelope(envelope: Envelope, privateKeys: KeyObject[]): Seal {
  return seal(envelopeType, Buffer.from(JSON.stringify(envelope)), privateKeys)
}

/** What a plane is and holds, against which an envelope is judged. */
export interface Recipient {
  root: VerifiedRoot
  /** The role it was enrolled for. */
  role: SigningRole
  instance: string
  fleet: string
  /** Version of its software. */
  version: string
  nowMs: number
  /** The newest envelope of this tenant that it ever took. */
  held: { sequence: number; contentDigest: string; revision: number } | undefined
  /** How far ahead of this clock an envelope may begin. */
  futureToleranceMs: number
}

export interface OpenedEnvelope {
  envelope: Envelope
  /** True where exactly this was taken before: nothing is to be done. */
  held: boolean
}

/** Takes or refuses an envelope that came in. Nothing in it is read before its signatures are believed. */
export function openEnvelope(sealed: Seal, recipient: Recipient): OpenedEnvelope | GapRefusal {
  if (isRootExpired(recipient.root, recipient.nowMs))
    return refuseAtGap('expired', 'The pinned trust root has expired; enrol again or import its rotation.')
  const envelope = openTrusted(sealed, recipient)
  if (isGapRefusal(envelope)) return envelope
  return judgeSequence(envelope, recipient.held) ?? judgeValidity(envelope, recipient) ?? { envelope, held: false }
}

/**
 * Opens an envelope that this plane took before and kept: role, audience and version are judged again, validity is not, since
 * it is judged when an envelope is activated; from then on the tenant's `maxStaleness` alone bounds how long it runs.
 */
export function reopenEnvelope(sealed: Seal, recipient: Omit<Recipient, 'held'>): Envelope | GapRefusal {
  return openTrusted(sealed, recipient)
}

function openTrusted(sealed: Seal, recipient: Omit<Recipient, 'held'>): Envelope | GapRefusal {
  const signers = recipient.root.signers(recipient.role)
  if (!signers) return refuseAtGap('wrong_role', `The trust root knows no ${recipient.role} role.`)
  const payload = openSeal(sealed, envelopeType, signers)
  if (isGapRefusal(payload)) return payload
  const envelope = readEnvelope(payload)
  if (isGapRefusal(envelope)) return envelope
  return judgeAudience(envelope, recipient) ?? envelope
}

function readEnvelope(payload: Buffer): Envelope | GapRefusal {
  const json = parseJson(payload)
  // What must be understood is asked first: a newer envelope should name what is too new, not fail on its form.
  const critical = z.object({ critical: shape.critical }).safeParse(json)
  const unknown = critical.data?.critical.find((name) => !Object.hasOwn(shape, name))
  if (unknown !== undefined)
    return refuseAtGap(
      'unknown_critical',
      `It demands that ${JSON.stringify(unknown)} is understood, and this version does not know that. Update the gateway.`,
    )
  const parsed = envelopeShape.safeParse(json)
  if (!parsed.success) return refuseAtGap('malformed', 'It is not an envelope that this version can read.')
  return parsed.data
}

function judgeAudience(envelope: Envelope, recipient: Omit<Recipient, 'held'>): GapRefusal | undefined {
  const { audience } = envelope
  if (envelope.installation !== recipient.root.document.installation)
    return refuseAtGap('wrong_audience', 'It comes from another installation.')
  if (envelope.role !== recipient.role)
    return refuseAtGap('wrong_role', `It is for planes of role ${envelope.role}; this one is ${recipient.role}.`)
  if (audience.id !== (audience.kind === 'instance' ? recipient.instance : recipient.fleet))
    return refuseAtGap('wrong_audience', `It is meant for ${audience.kind} ${audience.id}, not for this one.`)
  if (isOlder(recipient.version, envelope.minimumVersion))
    return refuseAtGap(
      'version_too_old',
      `It needs version ${envelope.minimumVersion} or newer; this is ${recipient.version}.`,
    )
  return undefined
}

function judgeSequence(envelope: Envelope, held: Recipient['held']): OpenedEnvelope | GapRefusal | undefined {
  if (!held) return undefined
  // Two replicas may number their envelopes in another order than they read the configuration in.
  if (envelope.revision < held.revision)
    return refuseAtGap('rolled_back', `It is revision ${envelope.revision}; this plane already runs ${held.revision}.`)
  if (envelope.sequence > held.sequence) return undefined
  if (envelope.sequence < held.sequence)
    return refuseAtGap('rolled_back', `It has sequence ${envelope.sequence}; this plane already took ${held.sequence}.`)
  return envelope.contentDigest === held.contentDigest
    ? { envelope, held: true }
    : refuseAtGap('forked', `Sequence ${envelope.sequence} was already taken with another content.`)
}

function judgeValidity(envelope: Envelope, recipient: Recipient): GapRefusal | undefined {
  if (envelope.expiresAtMs <= envelope.notBeforeMs) return refuseAtGap('malformed', 'It ends before it begins.')
  if (recipient.nowMs >= envelope.expiresAtMs)
    return refuseAtGap('expired', `It was valid until ${isoTime(envelope.expiresAtMs)}.`)
  if (Math.max(envelope.notBeforeMs, envelope.createdAtMs) > recipient.nowMs + recipient.futureToleranceMs)
    return refuseAtGap(
      'not_yet_valid',
      `It is valid from ${isoTime(envelope.notBeforeMs)} on, ahead of this machine's clock.`,
    )
  return undefined
}

/** Wraps a content key for an age recipient (`age1…`). */
export async function wrapContentKey(contentKey: Uint8Array, recipient: string): Promise<string> {
  const encrypter = new Encrypter()
  encrypter.addRecipient(recipient)
  return Buffer.from(await encrypter.encrypt(contentKey)).toString('base64')
}

/** Unwraps a content key with an age identity (`AGE-SECRET-KEY-1…`). */
export async function unwrapContentKey(wrapped: string, identity: string): Promise<KeyObject | GapRefusal> {
  const decrypter = new Decrypter()
  decrypter.addIdentity(identity)
  try {
    const key = await decrypter.decrypt(Buffer.from(wrapped, 'base64'))
    if (key.byteLength === contentKeyBytes) return createSecretKey(key)
  } catch {
    // What age says of a key is not for a log.
  }
  return refuseAtGap('unreadable_key', 'The key to its secrets is not wrapped for this plane.')
}

/** True where a version is lower than another. A pre-release counts as its release. */
function isOlder(version: string, than: string): boolean {
  const left = version.split(/[-+]/)[0]!.split('.').map(Number)
  const right = than.split('.').map(Number)
  for (let index = 0; index < 3; index++) {
    const difference = (left[index] ?? 0) - right[index]!
    if (difference !== 0) return !(difference > 0)
  }
  return false
}

function isoTime(atMs: number): string {
  const date = new Date(atMs)
  return Number.isNaN(date.getTime()) ? `${atMs}` : date.toISOString()
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
