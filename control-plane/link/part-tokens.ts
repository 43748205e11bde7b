import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'
import type { OnlineKey } from './trust.ts'

/** Whose link a part token was given to. */
export interface PartBearer {
  instance: string
  /** The epoch of that link: a newer link of the instance makes the token worthless. */
  epoch: number
}

const shape = /^(v1\.([A-Za-z0-9_-]{1,64})\.(\d{1,15}))\.([A-Za-z0-9_-]{43})$/

/** Bearer tokens for parts, which every control plane of the installation can make and check: none is kept anywhere. */
export class PartTokens {
  readonly #key: Buffer

  /** The MAC's key comes from the online key (HKDF-SHA-256), which all control planes of an installation have. */
  constructor({ key, installation }: OnlineKey) {
    const secret = key.export({ type: 'pkcs8', format: 'der' })
    this.#key = Buffer.from(hkdfSync('sha256', secret, installation, 'sluice part token v1', 32))
  }

  issue({ instance, epoch }: PartBearer): string {
    const said = `v1.${instance}.${epoch}`
    return `${said}.${this.#mac(said).toString('base64url')}`
  }

  /** Undefined where no control plane of this installation made it. */
  read(token: string): PartBearer | undefined {
    const [, said, instance, epoch, mac] = shape.exec(token) ?? []
    if (!said || !timingSafeEqual(this.#mac(said), Buffer.from(mac!, 'base64url'))) return undefined
    return { instance: instance!, epoch: Number(epoch) }
  }

  #mac(said: string): Buffer {
    return createHmac('sha256', this.#key).update(said).digest()
  }
}
