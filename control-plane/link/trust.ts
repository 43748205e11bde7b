import { createPrivateKey, type KeyObject } from 'node:crypto'
import { keyIdOf } from '../../air-gap/seal.ts'
import { describeRoot, sealRoot } from '../../air-gap/trust-root.ts'
import type { Installation, KeyPair, MakeTrustRoot } from '../domain/installation.ts'

/** How long the first root holds. Its rotation is an act of the operator, long before. */
const rootValidMs = 10 * 365 * 86_400_000

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
