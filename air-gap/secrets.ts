import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto'

const nonceBytes = 12
const tagBytes = 16

/** Length of a content key: AES-256. */
export const contentKeyBytes = 32

/**
 * Seals a stored credential's secret under a tenant's content key: base64 of nonce, ciphertext and tag (AES-256-GCM). Bound to
 * tenant and credential, so that one credential's secret cannot be passed off as another's.
 */
export function sealSecret(contentKey: KeyObject | Buffer, tenant: string, credential: string, secret: string): string {
  const nonce = randomBytes(nonceBytes)
  const cipher = createCipheriv('aes-256-gcm', contentKey, nonce)
  cipher.setAAD(boundTo(tenant, credential))
  return Buffer.concat([nonce, cipher.update(secret, 'utf8'), cipher.final(), cipher.getAuthTag()]).toString('base64')
}

/** Opens what `sealSecret` made; undefined where key, tenant, credential or text are not the ones it was made from. */
export function openSecret(
  contentKey: KeyObject | Buffer,
  tenant: string,
  credential: string,
  sealed: string,
): string | undefined {
  const bytes = Buffer.from(sealed, 'base64')
  if (bytes.length < nonceBytes + tagBytes) return undefined
  const decipher = createDecipheriv('aes-256-gcm', contentKey, bytes.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  })
  decipher.setAAD(boundTo(tenant, credential))
  decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes))
  try {
    const text = decipher.update(bytes.subarray(nonceBytes, bytes.length - tagBytes))
    return Buffer.concat([text, decipher.final()]).toString('utf8')
  } catch {
    return undefined
  }
}

function boundTo(tenant: string, credential: string): Buffer {
  return Buffer.from(`sluice secret v1\n${tenant}\n${credential}\n`)
}
