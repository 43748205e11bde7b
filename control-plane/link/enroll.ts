import { createPublicKey } from 'node:crypto'
import { Encrypter } from 'age-encryption'
import { enrollAnswer, enrollRequest } from '../../schema/link.ts'
import type { SignedDocument } from '../domain/installation.ts'
import { readBounded } from './body.ts'
import type { LinkDomain } from './domain.ts'

const bodyBytesMax = 8 * 1024
const inFlightMax = 32
let inFlight = 0

/** `POST /plane/v1/enroll`: a token and two public keys for an identity and the trust root to pin. */
export async function enroll(request: Request, domain: LinkDomain, trustRoot: SignedDocument): Promise<Response> {
  if (request.method !== 'POST') return refusal(405, 'POST an enrolment request here.')
  if (inFlight >= inFlightMax) return refusal(503, 'Too many enrolments at once; try again.')
  inFlight += 1
  try {
    const body = await readBounded(request, bodyBytesMax)
    if (!body) return refusal(413, `An enrolment request has at most ${bodyBytesMax} bytes.`)
    const asked = enrollRequest.safeParse(parseJson(body)).data
    if (!asked) return refusal(400, 'The enrolment request cannot be read.')
    if (!isEd25519(asked.signingKey)) return refusal(400, 'The signing key is not an Ed25519 public key in PEM.')
    if (!isAgeRecipient(asked.encryptionKey)) return refusal(400, 'The encryption key is not an age recipient (age1…).')
    const redeemed = await domain.redeemToken(asked)
    if ('refused' in redeemed) return refusal(403, redeemed.refused)
    return Response.json(enrollAnswer.parse({ ...redeemed, trustRoot }))
  } finally {
    inFlight -= 1
  }
}

export function refusal(status: number, message: string): Response {
  return Response.json({ error: { message } }, { status, headers: { 'cache-control': 'no-store' } })
}

function isEd25519(pem: string): boolean {
  // A private key would be taken for its public half: whoever sends one has made a mistake worth telling.
  if (!pem.includes('BEGIN PUBLIC KEY')) return false
  try {
    return createPublicKey(pem).asymmetricKeyType === 'ed25519'
  } catch {
    return false
  }
}

function isAgeRecipient(recipient: string): boolean {
  try {
    new Encrypter().addRecipient(recipient)
    return recipient.startsWith('age1')
  } catch {
    return false
  }
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'))
  } catch {
    return undefined
  }
}
