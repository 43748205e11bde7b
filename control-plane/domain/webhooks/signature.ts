import { createHmac, randomBytes } from 'node:crypto'

const prefix = 'whsec_'
const secretBytes = 32

/**
 * A signing secret as Standard Webhooks writes it: `whsec_` and 24 to 64 random bytes in base64
 * (github.com/standard-webhooks/standard-webhooks, spec/standard-webhooks.md).
 */
export const newSecret = (): string => `${prefix}${randomBytes(secretBytes).toString('base64')}`

export interface Signed {
  'webhook-id': string
  'webhook-timestamp': string
  'webhook-signature': string
}

/**
 * The headers of one attempt. Signed is `id.timestamp.body` with HMAC-SHA-256, `v1,` and base64; each secret gives a signature,
 * with a space between them, so that a receiver that knows either accepts it. `timestamp` is the attempt's, in seconds.
 */
export function signatureHeaders(secrets: readonly string[], id: string, nowMs: number, body: string): Signed {
  const timestamp = String(Math.floor(nowMs / 1_000))
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(prefix.length), 'base64')
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`
  })
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') }
}
