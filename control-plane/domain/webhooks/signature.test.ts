import { describe, expect, it } from 'vitest'
import { newSecret, signatureHeaders } from './signature.ts'

const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const at = 1_614_265_330_000

describe('a signature', () => {
  it('is that of the Standard Webhooks libraries for their own example', () => {
    const headers = signatureHeaders([secret], 'msg_p5jXN8AQM9LWM0D4loKWxJek', at, '{"test": 2432232314}')
    expect(headers).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
  })
  it('is given with each secret that is good, the newest first', () => {
    const other = newSecret()
    const of = (...secrets: string[]) => signatureHeaders(secrets, 'id', at, '{}')['webhook-signature']
    expect(of(other, secret)).toBe(`${of(other)} ${of(secret)}`)
  })
  it('is made with 256 random bits', () => {
    expect(newSecret()).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(newSecret()).not.toBe(newSecret())
  })
})
