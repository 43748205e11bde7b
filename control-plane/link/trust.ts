import { createPrivateKey, type KeyObject } from 'node:crypto'
import { keyIdOf } from '../../air-gap/seal.ts'
import { describeRoot, sealRoot, type TrustRoot } from '../../air-gap/trust-root.ts'
import type { Installation, KeyPair, MakeTrustRoot, SignedDocument } from '../domain/installation.ts'

/** How long the first root holds. Its rotation is an act of the operator, long before. */
const rootValidMs = 10 * 365 * 86_400_000

/** A plane that is further behind enrols anew. */
const rootsPerWelcomeMax = 64

/** The root of a new installation: one root key, one online key, no site role until an operator names its keys. */
export const makeTrustRoot: MakeTrustRoot = ({ installation, root, online, nowMs }) => {
  const rootKey = privateKeyOf(root)
  const document = describeRoot({
    installation,
    version: 1,
    expiresAtMs: nowMs + rootValidMs,
    roles: {
      root: { keys: [rootKey], threshold: 1 },
      online: { keys: [privateKeyOf(online)], threshold: 1 },
    },
  })
  return sealRoot(document, [rootKey])
}

/** An installation with every trust root it has had, oldest first; where it says nothing, there was only the one. */
export type RootedInstallation = Installation & { trustRoots?: readonly SignedDocument[] }

/** The roots that came after the one that a plane has pinned, in order: each leads it to the next. */
export function rootsAfter(installation: RootedInstallation): (pinnedVersion: number) => SignedDocument[] {
  const roots = (installation.trustRoots ?? [installation.trustRoot]).map((sealed) => ({
    sealed,
    version: (JSON.parse(Buffer.from(sealed.payload, 'base64').toString('utf8')) as TrustRoot).version,
  }))
  return (pinned) =>
    roots
      .filter(({ version }) => version > pinned)
      .slice(0, rootsPerWelcomeMax)
      .map(({ sealed }) => sealed)
}

/** The installation's key for welcomes and envelopes, read once. */
export interface OnlineKey {
  installation: string
  id: string
  key: KeyObject
}

export function onlineKeyOf(installation: Installation): OnlineKey {
  const key = privateKeyOf(installation.onlineKey)
  return { installation: installation.id, id: keyIdOf(key), key }
}

function privateKeyOf(pair: KeyPair): KeyObject {
  return createPrivateKey(pair.privateKey)
}
