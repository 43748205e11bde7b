import { createPublicKey, type KeyObject } from 'node:crypto'
import { z } from 'zod'
import { type GapRefusal, isGapRefusal, refuseAtGap } from './refusal.ts'
import { keyIdOf, openSeal, type Seal, type Signers, seal } from './seal.ts'

/**
 * Who may sign what, after TUF: the `root` role signs this document itself, `online` the envelopes of connected planes,
 * `site` those of planes behind a gap. A role that is absent may sign nothing.
 */
export interface TrustRoot {
  schemaVersion: 1
  installation: string
  /** Counts up by one with each rotation. */
  version: number
  expiresAtMs: number
  /** Ed25519 public keys, base64 of SPKI (DER), by the SHA-256 of that. */
  keys: Record<string, string>
  roles: { root: TrustRole; online?: TrustRole; site?: TrustRole }
}

export interface TrustRole {
  keys: string[]
  /** How many different keys must sign; never 0. */
  threshold: number
}

export type SigningRole = 'online' | 'site'

/** A root whose signatures have been checked, with its keys ready for use. */
export interface VerifiedRoot {
  document: TrustRoot
  /** As it was signed, to be stored and handed on. */
  sealed: Seal
  signers(role: 'root' | SigningRole): Signers | undefined
}

export const trustRootType = 'application/vnd.sluice.trust-root.v1+json'

/** Rotations that are followed in one go. */
export const rotationsMax = 1_024
const rootCharactersMax = 64 * 1024

const keyId = z.string().regex(/^[0-9a-f]{64}$/)
const role = z.strictObject({ keys: z.array(keyId).min(1).max(16), threshold: z.int().min(1).max(16) })
const trustRoot = z.strictObject({
  schemaVersion: z.literal(1),
  installation: z.string().min(1).max(64),
  version: z.int().min(1),
  expiresAtMs: z.int().min(0),
  keys: z.record(keyId, z.string().max(200)),
  roles: z.strictObject({ root: role, online: role.optional(), site: role.optional() }),
})

/** Makes a root for these keys. Not yet signed. */
export function describeRoot(options: {
  installation: string
  version: number
  expiresAtMs: number
  roles: Record<'root', RoleKeys> & Partial<Record<SigningRole, RoleKeys>>
}): TrustRoot {
  const named = Object.entries(options.roles) as ['root' | SigningRole, RoleKeys][]
  const publicKeys = named.flatMap(([, { keys }]) => keys)
  return {
    schemaVersion: 1,
    installation: options.installation,
    version: options.version,
    expiresAtMs: options.expiresAtMs,
    keys: Object.fromEntries(publicKeys.map((key) => [keyIdOf(key), spkiOf(key)])),
    roles: Object.fromEntries(
      named.map(([name, { keys, threshold }]) => [name, { keys: keys.map(keyIdOf), threshold }]),
    ) as TrustRoot['roles'],
  }
}

/** Keys of a role: private or public ones, only the public half is used. */
export interface RoleKeys {
  keys: KeyObject[]
  threshold: number
}

/** Seals a root with the private keys of its root role; a rotation is signed by the old role's keys as well. */
export function sealRoot(root: TrustRoot, privateKeys: KeyObject[]): Seal {
  return seal(trustRootType, Buffer.from(JSON.stringify(root)), privateKeys)
}

/**
 * A root to start from: it must satisfy its own root role. That shows only that it is whole; whoever pins it must have it from
 * a place they trust. Expiry is asked for apart (`isRootExpired`), since an expired root may still introduce the next.
 */
export function openFirstRoot(sealed: Seal): VerifiedRoot | GapRefusal {
  // The signers stand inside, so the document is read first, as untrusted text within its bounds, then held against itself.
  const claimed = claimedRoot(sealed)
  if (isGapRefusal(claimed)) return claimed
  const payload = openSeal(sealed, trustRootType, signersOf(claimed, 'root')!)
  return isGapRefusal(payload) ? payload : verified(claimed, sealed)
}

/** The next root: one version higher, of the same installation, and signed as both the old and the new root role ask. */
export function openNextRoot(trusted: VerifiedRoot, sealed: Seal): VerifiedRoot | GapRefusal {
  const payload = openSeal(sealed, trustRootType, trusted.signers('root')!)
  if (isGapRefusal(payload)) return payload
  const next = readRoot(payload)
  if (isGapRefusal(next)) return next
  if (next.version !== trusted.document.version + 1)
    return refuseAtGap(
      'rolled_back',
      `It is version ${next.version} of the trust root; after ${trusted.document.version} comes the next one, without gaps.`,
    )
  if (next.installation !== trusted.document.installation)
    return refuseAtGap('wrong_audience', 'It is the trust root of another installation.')
  const own = openSeal(sealed, trustRootType, signersOf(next, 'root')!)
  return isGapRefusal(own) ? own : verified(next, sealed)
}

/** Follows rotations from a trusted root; roots it already has are passed over. All or nothing. */
export function followRotations(trusted: VerifiedRoot, rotations: Seal[]): VerifiedRoot | GapRefusal {
  if (rotations.length > rotationsMax)
    return refuseAtGap('too_large', `More than ${rotationsMax} rotations of the trust root at once.`)
  let newest = trusted
  for (const sealed of rotations) {
    const claimed = claimedRoot(sealed)
    if (!isGapRefusal(claimed) && claimed.version <= newest.document.version) continue
    const next = openNextRoot(newest, sealed)
    if (isGapRefusal(next)) return next
    newest = next
  }
  return newest
}

/** True where nothing this root delegates to may be believed any more. */
export function isRootExpired(root: VerifiedRoot, nowMs: number): boolean {
  return nowMs >= root.document.expiresAtMs
}

/** What an unverified seal says it holds; believed only after its signatures are. */
function claimedRoot(sealed: Seal): TrustRoot | GapRefusal {
  if (sealed.payload.length > rootCharactersMax)
    return refuseAtGap('too_large', 'The trust root is larger than one can be.')
  return readRoot(Buffer.from(sealed.payload, 'base64'))
}

function readRoot(payload: Buffer): TrustRoot | GapRefusal {
  const parsed = trustRoot.safeParse(parseJson(payload))
  if (!parsed.success) return refuseAtGap('malformed', 'It is not a trust root that this version can read.')
  const root = parsed.data
  for (const [id, spki] of Object.entries(root.keys)) {
    const key = readKey(spki)
    // An id that is not the key's own would let one key count as several.
    if (!key || keyIdOf(key) !== id)
      return refuseAtGap('malformed', 'A key of the trust root is not the Ed25519 key that its id names.')
  }
  for (const [name, { keys, threshold }] of Object.entries(root.roles)) {
    if (new Set(keys).size !== keys.length || keys.some((id) => !Object.hasOwn(root.keys, id)))
      return refuseAtGap('malformed', `The role ${name} lists a key twice, or one that the trust root does not hold.`)
    if (threshold > keys.length)
      return refuseAtGap(
        'malformed',
        `The role ${name} asks for ${threshold} signatures but lists ${keys.length} keys.`,
      )
  }
  return root
}

function verified(document: TrustRoot, sealed: Seal): VerifiedRoot {
  const roles = new Map((['root', 'online', 'site'] as const).map((name) => [name, signersOf(document, name)] as const))
  return { document, sealed, signers: (name) => roles.get(name) }
}

function signersOf(root: TrustRoot, name: 'root' | SigningRole): Signers | undefined {
  const described = root.roles[name]
  if (!described) return undefined
  const keys = new Map(described.keys.map((id) => [id, readKey(root.keys[id]!)!]))
  return { keys, threshold: described.threshold }
}

function spkiOf(key: KeyObject): string {
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return publicKey.export({ type: 'spki', format: 'der' }).toString('base64')
}

function readKey(spki: string): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: Buffer.from(spki, 'base64'), type: 'spki', format: 'der' })
    return key.asymmetricKeyType === 'ed25519' ? key : undefined
  } catch {
    return undefined
  }
}

function parseJson(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}
