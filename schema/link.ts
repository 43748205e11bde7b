import { z } from 'zod'
import { leaseAnswer, leaseCall, leaseRecall } from './link-lease.ts'
import { shares, sharesTaken } from './link-shares.ts'

/**
 * The messages between control plane and data planes. Every one is idempotent: it may be lost, repeated, late or out of order.
 * A message of an unknown type is ignored by a newer or older peer; a known one that does not parse ends the link.
 */
export const linkVersion = 1
/** A frame larger than this ends the link. Snapshot parts travel by HTTP. */
export const linkFrameBytesMax = 8 * 1024 * 1024
/** A batch of records is cut at this many, or these bytes: JSON within JSON at most doubles them. */
export const recordsPerBatchMax = 500
export const recordBatchBytesMax = 3 * 1024 * 1024
export const keyDeltasPerMessageMax = 1_000
/** Bytes of records that a plane may have sent and not yet seen answered. */
export const unacknowledgedBytesMax = 2 * linkFrameBytesMax

const id = z.string().max(64)
const nonce = z.string().min(16).max(128)
const hex = z.string().regex(/^[0-9a-f]{64}$/)
const count = z.int().min(0)

export const chainHead = z.object({ tenant: id, epoch: count, sequence: z.int().min(-1), hash: hex })
export type ChainHead = z.output<typeof chainHead>

export const dsse = z.object({
  payloadType: z.string().max(200),
  payload: z.string(),
  signatures: z.array(z.object({ keyid: z.string().max(200), sig: z.string().max(200) })).max(16),
})

const grant = z.object({
  team: id.nullable(),
  project: id.nullable(),
  principal: id,
  aliases: z.array(id).nullable(),
  requestLabels: z.record(z.string(), z.string()),
  allowedAddresses: z.array(z.string()),
})

export const keyDelta = z.object({
  number: count,
  hash: hex,
  apiKey: id,
  revoked: z.boolean(),
  expiresAtMs: z.number().nullable(),
  grant,
})

/** A gateway's call to a provider may take this long, and is told with at most so many models. */
export const providerCheckMsMax = 10_000
export const checkedModelsMax = 1_000

/** What one call to a provider found. */
export const providerFinding = z.object({
  /** It was reached, took the credential, and listed its models where it has a list. */
  ok: z.boolean(),
  /** HTTP status; null where there was no answer. */
  status: z.int().min(100).max(999).nullable(),
  /** Until the head of the answer; null where there was none. */
  latencyMs: count.nullable(),
  /** One sentence: why it is not ok, or what is to be known where it is. */
  detail: z.string().max(500).nullable(),
  models: z.array(z.string().max(200)).max(checkedModelsMax),
})
export type ProviderFinding = z.output<typeof providerFinding>

/** What a plane can do that not every plane of its link version can; others are not asked for it. */
export const abilities = ['providerCheck', 'leases', 'shares'] as const
export type Ability = (typeof abilities)[number]

/** What a plane says. */
export const planeMessage = z.discriminatedUnion('type', [
  /** Answers the challenge: the instance's signature over both nonces. */
  z.object({
    type: z.literal('hello'),
    linkVersion: z.int(),
    instance: id,
    version: z.string().max(50),
    host: z.string().max(255),
    bootId: z.string().max(64),
    /** The largest epoch that this instance was ever welcomed with: one that is not known here was given before a restore. */
    epoch: z.int().min(0).max(1e12).optional(),
    nonce,
    signature: z.string().max(200),
    /** Version of the pinned trust root, so that rotations can be sent. */
    rootVersion: count,
    /** What this plane holds per tenant, so that it is sent only what is newer. */
    held: z.array(z.object({ tenant: id, sequence: count, contentDigest: hex, deltaNumber: count })).max(10_000),
    /** Abilities, also such as only a newer control plane knows; absent = none. */
    can: z.array(z.string().max(50)).max(50).optional(),
    /** Where its rate limits are counted, if not in its own memory; absent = there. */
    limitStore: z.boolean().optional(),
  }),
  z.object({
    type: z.literal('heartbeat'),
    sentAtMs: z.number(),
    applied: z
      .array(
        z.object({
          ...{ tenant: id, revision: count, deltaNumber: count, snapshotAgeMs: count },
          /** As below, of this tenant alone; absent = as below. */
          recordsThroughMs: z.number().nullable().optional(),
        }),
      )
      .max(10_000),
    /** Everything up to this moment has been delivered; null = nothing is waiting. */
    recordsThroughMs: z.number().nullable(),
  }),
  /** A run of one chain, each record in its canonical text, in order and without a gap. */
  z.object({
    type: z.literal('records'),
    tenant: id,
    epoch: count,
    from: count,
    records: z.array(z.string().max(1_000_000)).min(1).max(recordsPerBatchMax),
  }),
  /** Answers `providerCheck`, under its id. One that is lost is not sent again: who asked gives up and asks anew. */
  z.object({ type: z.literal('providerChecked'), id, tenant: id, finding: providerFinding }),
  leaseCall,
  sharesTaken,
])
export type PlaneMessage = z.output<typeof planeMessage>

/** What the control plane says. */
export const controlMessage = z.discriminatedUnion('type', [
  z.object({ type: z.literal('challenge'), linkVersion: z.int(), nonce }),
  /** Proves the control plane: the online key's signature over both nonces and the epoch. */
  z.object({
    type: z.literal('welcome'),
    epoch: count,
    keyid: z.string().max(200),
    signature: z.string().max(200),
    /** Bearer for `/plane/v1/parts/…`, valid while this link is open. */
    partToken: z.string().max(200),
    serverTimeMs: z.number(),
    /** Trust roots after the pinned one, in order, each signed by the one before. */
    roots: z.array(dsse).max(64),
    /** Where the control plane's copy of each of this instance's chains ends. */
    heads: z.array(chainHead).max(100_000),
    /** Tenants that this instance serves; it lets go of all others. Absent = its control plane does not say. */
    serves: z.array(id).max(10_000).optional(),
  }),
  /** A newer snapshot: its signed envelope. */
  z.object({ type: z.literal('snapshot'), tenant: id, envelope: dsse }),
  z.object({ type: z.literal('deltas'), tenant: id, deltas: z.array(keyDelta).max(keyDeltasPerMessageMax) }),
  z.object({ type: z.literal('recordsAck'), head: chainHead }),
  /** The chain is quarantined or the batch does not continue it; `head` says where to go on, null = stop sending it. */
  z.object({
    type: z.literal('recordsRefused'),
    tenant: id,
    epoch: count,
    head: chainHead.nullable(),
    reason: z.string().max(500),
  }),
  /** Asks for one call to a provider, as this plane's own snapshot declares it. */
  z.object({
    type: z.literal('providerCheck'),
    id,
    tenant: id,
    provider: id,
    credential: id.nullable(),
    /** Of the snapshot to be waited for, so that what was just declared is checked. */
    revision: count,
    /** Of the call, once that snapshot runs. */
    timeoutMs: z.int().min(1),
  }),
  leaseAnswer,
  leaseRecall,
  shares,
  z.object({ type: z.literal('heartbeatAck'), sentAtMs: z.number(), serverTimeMs: z.number() }),
  z.object({ type: z.literal('goodbye'), reason: z.string().max(500) }),
])
export type ControlMessage = z.output<typeof controlMessage>
export type ProviderCheckAsk = Extract<ControlMessage, { type: 'providerCheck' }>

/** What an instance signs to open the link. */
export function helloStatement(serverNonce: string, planeNonce: string, instance: string): Buffer {
  return Buffer.from(`sluice link hello v1\n${serverNonce}\n${planeNonce}\n${instance}\n`)
}

/** What the control plane signs to be believed. */
export function welcomeStatement(serverNonce: string, planeNonce: string, instance: string, epoch: number): Buffer {
  return Buffer.from(`sluice link welcome v1\n${serverNonce}\n${planeNonce}\n${instance}\n${epoch}\n`)
}

/** `POST /plane/v1/enroll`: an enrolment token is exchanged for an identity. The private keys never leave the instance. */
export const enrollRequest = z.object({
  token: z.string().max(200),
  /** Ed25519 public key, PEM (SPKI). */
  signingKey: z.string().max(500),
  /** age recipient (`age1…`). */
  encryptionKey: z.string().max(200),
  host: z.string().max(255),
  version: z.string().max(50),
})
export const enrollAnswer = z.object({
  instance: id,
  dataPlane: id,
  /** The signed trust root to pin. */
  trustRoot: dsse,
})
