import { createHash, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import type { z } from 'zod'
import { dsse } from '../schema/link.ts'
import { type GapRefusal, isGapRefusal, refuseAtGap } from './refusal.ts'

/** A DSSE envelope (secure-systems-lab/dsse v1.0.2): what is signed, as it is, and the signatures over it. */
export type Seal = z.output<typeof dsse>

/** Payloads beyond this are refused before anything is decoded or verified. */
export const sealedBytesMax = 4 * 1024 * 1024

/** DSSE's pre-authentication encoding: lengths in bytes, so that type and payload cannot be cut differently. */
export function preAuthenticationEncoding(payloadType: string, payload: Uint8Array): Buffer {
  const type = Buffer.from(payloadType, 'utf8')
  return Buffer.concat([Buffer.from(`DSSEv1 ${type.length} `), type, Buffer.from(` ${payload.byteLength} `), payload])
}

/** Names a public key: SHA-256 over its SPKI, hex. Two names are two keys. */
export function keyIdOf(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex')
}

/** Signs the payload with each of the keys (Ed25519). */
export function seal(payloadType: string, payload: Uint8Array, privateKeys: KeyObject[]): Seal {
  const signed = preAuthenticationEncoding(payloadType, payload)
  return {
    payloadType,
    payload: Buffer.from(payload).toString('base64'),
    signatures: privateKeys.map((key) => ({ keyid: keyIdOf(key), sig: sign(null, signed, key).toString('base64') })),
  }
}

/** What may sign: keys by their id, and how many different ones must have. */
export interface Signers {
  keys: ReadonlyMap<string, KeyObject>
  threshold: number
}

/**
 * The payload of a seal that enough *different* keys have signed. Nothing of the payload is looked at before that. A seal's
 * own `keyid` is only a hint for which key to try: what counts is which key verifies.
 */
export function openSeal(given: unknown, payloadType: string, signers: Signers): Buffer | GapRefusal {
  const read = readSeal(given)
  if (isGapRefusal(read)) return read
  if (read.payloadType !== payloadType)
    return refuseAtGap('wrong_type', `It is sealed as ${JSON.stringify(read.payloadType)}, not as ${payloadType}.`)
  if (read.signatures.length === 0) return refuseAtGap('unsigned', 'It carries no signature.')
  const payload = decodeBase64(read.payload)
  if (!payload) return refuseAtGap('malformed', 'Its payload is not base64.')
  const found = keysThatSigned(read, payload, signers.keys).size
  // A threshold below 1 would accept anything: it is a mistake in the root, never permission.
  if (!Number.isInteger(signers.threshold) || signers.threshold < 1)
    return refuseAtGap('below_threshold', 'The trust root asks for no signature at all, so nothing is trusted.')
  if (found < signers.threshold)
    return refuseAtGap(
      'below_threshold',
      `It is signed by ${found} of the keys that may sign it; ${signers.threshold} different ones are needed.`,
    )
  return payload
}

function readSeal(given: unknown): Seal | GapRefusal {
  const parsed = dsse.safeParse(given)
  if (!parsed.success) return refuseAtGap('malformed', 'It is not a DSSE envelope.')
  if (parsed.data.payloadType === '') return refuseAtGap('malformed', 'Its payload has no type.')
  if (parsed.data.payload.length > (sealedBytesMax * 4) / 3 + 4)
    return refuseAtGap('too_large', `What is sealed is larger than ${sealedBytesMax} bytes.`)
  return parsed.data
}

function keysThatSigned(read: Seal, payload: Buffer, keys: ReadonlyMap<string, KeyObject>): Set<string> {
  const signed = preAuthenticationEncoding(read.payloadType, payload)
  const found = new Set<string>()
  for (const { keyid, sig } of read.signatures) {
    const signature = decodeBase64(sig)
    if (signature?.length !== 64) continue
    const hinted = keys.get(keyid)
    for (const [id, key] of hinted ? [[keyid, hinted] as const] : keys)
      if (!found.has(id) && verify(null, signed, key, signature)) found.add(id)
  }
  return found
}

/** DSSE allows both alphabets; anything else in the text is refused rather than skipped. */
function decodeBase64(text: string): Buffer | undefined {
  return /^[A-Za-z0-9+/_-]*={0,2}$/.test(text) ? Buffer.from(text, 'base64') : undefined
}
