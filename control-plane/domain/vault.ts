import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/**
 * Seals what must not be readable at rest. `use` names what the bytes are for (`credential/crd_…/3`) and is bound into the
 * seal, so that one sealed value cannot be put in another's place.
 */
export interface Vault {
  seal(use: string, plain: Uint8Array): Buffer
  /** Undefined where the bytes were not sealed by this master key for this use. */
  open(use: string, sealed: Uint8Array): Buffer | undefined
  /** Keyed hash, hex: tells that two values differ without telling the values. */
  digest(use: string, value: string): string
}

const format = 1
const nonceBytes = 12
const tagBytes = 16
export const masterKeyCharactersMin = 32

/** AES-256-GCM, under a key derived for each use from the master key (HKDF-SHA-256). Layout: format, nonce, ciphertext, tag. */
export function openVault(masterKey: string): Vault {
  const derive = (purpose: string) =>
    Buffer.from(hkdfSync('sha256', Buffer.from(masterKey), 'sluice vault v1', purpose, 32))
  return {
    seal(use, plain) {
      const nonce = randomBytes(nonceBytes)
      const cipher = createCipheriv('aes-256-gcm', derive(`seal/${use}`), nonce)
      return Buffer.concat([Buffer.of(format), nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
    },
    open(use, sealed) {
      if (sealed.byteLength < 1 + nonceBytes + tagBytes || sealed[0] !== format) return undefined
      const nonce = sealed.subarray(1, 1 + nonceBytes)
      const decipher = createDecipheriv('aes-256-gcm', derive(`seal/${use}`), nonce, { authTagLength: tagBytes })
      decipher.setAuthTag(sealed.subarray(sealed.byteLength - tagBytes))
      try {
        const plain = decipher.update(sealed.subarray(1 + nonceBytes, sealed.byteLength - tagBytes))
        return Buffer.concat([plain, decipher.final()])
      } catch {
        return undefined
      }
    },
    digest: (use, value) =>
      createHmac('sha256', derive(`digest/${use}`))
        .update(value)
        .digest('hex'),
  }
}

/**
 * The master key: as given (SLUICE_MASTER_KEY), else `<dataDir>/master.key`, which is made at the first start, readable by its
 * owner alone. Lose it, and what it sealed is lost.
 */
export function masterKeyOf(options: { given?: string; dataDir: string }): { masterKey: string } | { refused: string } {
  const given = options.given?.trim()
  if (given && given.length < masterKeyCharactersMin)
    return {
      refused: `SLUICE_MASTER_KEY is shorter than ${masterKeyCharactersMin} characters; give a longer random one.`,
    }
  if (given) return { masterKey: given }
  const path = join(options.dataDir, 'master.key')
  mkdirSync(options.dataDir, { recursive: true, mode: 0o700 })
  try {
    writeFileSync(path, `${randomBytes(32).toString('base64url')}\n`, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
  const masterKey = readFileSync(path, 'utf8').trim()
  if (masterKey.length >= masterKeyCharactersMin) return { masterKey }
  return { refused: `${path} does not hold a master key; restore it, or give SLUICE_MASTER_KEY.` }
}
