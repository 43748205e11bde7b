import { createHash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { inspect } from 'node:util'
import { openSecret } from '../../air-gap/secrets.ts'
import type { RunningCredential, Secret, Secrets } from '../../data-plane/snapshot/running.ts'
import type { SealedSecret } from './snapshot-store.ts'

const secretBytesMax = 64 * 1024
/** How often a file is looked at again, so that a rotated mounted secret is taken up. */
const fileFreshMs = 10_000
const filesMax = 10_000

type Missing = { readonly missing: string }

/** A secret that shows itself only when asked by name. */
class RedactedSecret implements Secret {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  get fingerprint(): string {
    return createHash('sha256').update(this.#text).digest('hex').slice(0, 12)
  }

  expose(): string {
    return this.#text
  }

  toString(): string {
    return '[secret]'
  }

  toJSON(): string {
    return '[secret]'
  }

  [inspect.custom](): string {
    return '[secret]'
  }
}

/**
 * Secrets of credentials: stored ones are opened in memory when first asked for and forgotten with their snapshot; those that
 * stay outside (environment, file) are resolved here, on the plane. Why one is missing names the credential, never a value.
 */
export function credentialSecrets(options: {
  sealedSecretOf(credential: RunningCredential): SealedSecret | undefined
  clock: { monotonic(): number }
  env?: Record<string, string | undefined>
}): Secrets {
  const env = options.env ?? process.env
  const opened = new WeakMap<RunningCredential, Secret>()
  const files = new SecretFiles(options.clock)

  const openStored = (credential: RunningCredential): Secret | Missing => {
    const known = opened.get(credential)
    if (known) return known
    const sealed = options.sealedSecretOf(credential)
    if (!sealed) return missing(credential, 'no secret is stored for it')
    const text = openSecret(sealed.contentKey, credential.tenant, credential.id, sealed.sealed)
    if (text === undefined) return missing(credential, 'its stored secret cannot be opened on this gateway')
    const secret = new RedactedSecret(text)
    opened.set(credential, secret)
    return secret
  }

  return {
    secretOf(credential) {
      if (credential.source === 'STORED') return openStored(credential)
      if (credential.source === 'ENVIRONMENT') {
        const name = credential.locator?.replace(/^env:/, '') ?? ''
        const text = Object.hasOwn(env, name) ? env[name]?.trim() : undefined
        return text
          ? new RedactedSecret(text)
          : missing(credential, 'its environment variable is not set on this gateway')
      }
      if (credential.source === 'FILE') {
        const text = files.read(credential.locator?.replace(/^file:/, '') ?? '')
        return text ? new RedactedSecret(text) : missing(credential, 'its file cannot be read on this gateway')
      }
      return missing(credential, 'workload identity is not available on this gateway')
    },
  }
}

function missing(credential: RunningCredential, why: string): Missing {
  return { missing: `Credential ${credential.id} of provider ${credential.provider.name} has no secret: ${why}.` }
}

/** Small files, looked at again at most every ten seconds. */
class SecretFiles {
  readonly #clock: { monotonic(): number }
  readonly #known = new Map<string, { text: string; changedMs: number; lookedMs: number }>()

  constructor(clock: { monotonic(): number }) {
    this.#clock = clock
  }

  read(path: string): string | undefined {
    const known = this.#known.get(path)
    const nowMs = this.#clock.monotonic()
    if (this.#known.size > filesMax) this.#known.clear()
    if (known && nowMs - known.lookedMs < fileFreshMs) return known.text
    try {
      const { size, mtimeMs } = statSync(path)
      if (known && known.changedMs === mtimeMs) known.lookedMs = nowMs
      else if (size <= secretBytesMax)
        this.#known.set(path, { text: readFileSync(path, 'utf8').trim(), changedMs: mtimeMs, lookedMs: nowMs })
      else this.#known.delete(path)
    } catch {
      this.#known.delete(path)
    }
    return this.#known.get(path)?.text
  }
}
