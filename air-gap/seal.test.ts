import { createHash, createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isGapRefusal } from './refusal.ts'
import { keyIdOf, openSeal, preAuthenticationEncoding, type Seal, type Signers, seal, sealedBytesMax } from './seal.ts'

/** Seeds of RFC 8032 §7.1, tests 1 to 3: keys that everybody has. */
const seeds = [
  '9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60',
  '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
  'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
]
const [first, second, third] = seeds.map((seed) =>
  createPrivateKey({
    key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), Buffer.from(seed, 'hex')]),
    type: 'pkcs8',
    format: 'der',
  }),
) as [KeyObject, KeyObject, KeyObject]

const type = 'application/vnd.sluice.test+json'
const payload = Buffer.from('{"hello":"world"}')
const signersOf = (threshold: number, ...keys: KeyObject[]): Signers => ({
  keys: new Map(keys.map((key) => [keyIdOf(key), key])),
  threshold,
})
const codeOf = (result: unknown) => (isGapRefusal(result) ? result.refused : 'opened')

describe('a seal', () => {
  it("encodes what is signed as DSSE's specification shows", () => {
    const encoded = preAuthenticationEncoding('http://example.com/HelloWorld', Buffer.from('hello world'))
    expect(encoded.toString()).toBe('DSSEv1 29 http://example.com/HelloWorld 11 hello world')
  })

  it('counts lengths in bytes, not in characters', () => {
    expect(preAuthenticationEncoding('ü', Buffer.from('€')).toString()).toBe('DSSEv1 2 ü 3 €')
  })

  it('opens with the key that signed it', () => {
    expect(openSeal(seal(type, payload, [first]), type, signersOf(1, first))).toEqual(payload)
  })

  it('opens an empty payload', () => {
    expect(openSeal(seal(type, Buffer.alloc(0), [first]), type, signersOf(1, first))).toEqual(Buffer.alloc(0))
  })

  it('opens where payload and signature are in the URL-safe alphabet', () => {
    const sealed = seal(type, Buffer.from([0xfb, 0xff, 0xfe]), [first])
    const urlSafe = (text: string) => Buffer.from(text, 'base64').toString('base64url')
    const other = {
      ...sealed,
      payload: urlSafe(sealed.payload),
      signatures: sealed.signatures.map(({ keyid, sig }) => ({ keyid, sig: urlSafe(sig) })),
    }
    expect(codeOf(openSeal(other, type, signersOf(1, first)))).toBe('opened')
  })

  it('opens without key ids, and with ids that lie: only which key verifies counts', () => {
    const sealed = seal(type, payload, [first])
    for (const keyid of ['', 'unknown', keyIdOf(second)]) {
      const renamed = { ...sealed, signatures: [{ ...sealed.signatures[0]!, keyid }] }
      const opened = codeOf(openSeal(renamed, type, signersOf(1, first, second)))
      // An id that names another key of the role makes that one be tried, and fail.
      expect(opened).toBe(keyid === keyIdOf(second) ? 'below_threshold' : 'opened')
    }
  })

  it('names keys by the SHA-256 of their SPKI', () => {
    const { publicKey } = generateKeyPairSync('ed25519')
    const spki = publicKey.export({ type: 'spki', format: 'der' })
    expect(keyIdOf(publicKey)).toBe(createHash('sha256').update(spki).digest('hex'))
  })
})

describe('a seal is refused', () => {
  it('when its signatures were stripped', () => {
    const stripped = { ...seal(type, payload, [first]), signatures: [] }
    expect(codeOf(openSeal(stripped, type, signersOf(1, first)))).toBe('unsigned')
  })

  it('when the signature field is missing altogether', () => {
    const { signatures: _, ...bare } = seal(type, payload, [first])
    expect(codeOf(openSeal(bare, type, signersOf(1, first)))).toBe('malformed')
  })

  it('when one key signed twice where two different ones are asked for', () => {
    const sealed = seal(type, payload, [first])
    const twice: Seal = { ...sealed, signatures: [...sealed.signatures, ...sealed.signatures] }
    expect(codeOf(openSeal(twice, type, signersOf(2, first, second)))).toBe('below_threshold')
  })

  it('when one key signed twice, once under another id', () => {
    const sealed = seal(type, payload, [first])
    const twice = { ...sealed, signatures: [...sealed.signatures, { ...sealed.signatures[0]!, keyid: '' }] }
    expect(codeOf(openSeal(twice, type, signersOf(2, first, second)))).toBe('below_threshold')
  })

  it('when the threshold is 0, a fraction or not a number, whatever was signed', () => {
    for (const threshold of [0, -1, 0.5, Number.NaN])
      expect(codeOf(openSeal(seal(type, payload, [first]), type, signersOf(threshold, first)))).toBe('below_threshold')
  })

  it('when nobody may sign', () => {
    expect(codeOf(openSeal(seal(type, payload, [first]), type, signersOf(1)))).toBe('below_threshold')
  })

  it('when its type was swapped for the one that is wanted', () => {
    const swapped = { ...seal('application/other', payload, [first]), payloadType: type }
    expect(codeOf(openSeal(swapped, type, signersOf(1, first)))).toBe('below_threshold')
  })

  it('when it is of another type, though truly signed', () => {
    expect(codeOf(openSeal(seal('application/other', payload, [first]), type, signersOf(1, first)))).toBe('wrong_type')
  })

  it('when its type is empty', () => {
    expect(codeOf(openSeal(seal('', payload, [first]), '', signersOf(1, first)))).toBe('malformed')
  })

  it('when another key signed it', () => {
    expect(codeOf(openSeal(seal(type, payload, [third]), type, signersOf(1, first, second)))).toBe('below_threshold')
  })

  it('when the signature is over the payload alone, without its type', () => {
    const bare = {
      ...seal(type, payload, []),
      signatures: [{ keyid: keyIdOf(first), sig: sign(null, payload, first).toString('base64') }],
    }
    expect(codeOf(openSeal(bare, type, signersOf(1, first)))).toBe('below_threshold')
  })

  it('when it is larger than may be sealed, before anything is decoded', () => {
    const huge = { ...seal(type, payload, [first]), payload: 'A'.repeat(sealedBytesMax * 2) }
    expect(codeOf(openSeal(huge, type, signersOf(1, first)))).toBe('too_large')
  })

  it('when payload or envelope is something else', () => {
    const sealed = seal(type, payload, [first])
    expect(codeOf(openSeal({ ...sealed, payload: '*not base64*' }, type, signersOf(1, first)))).toBe('malformed')
    for (const given of [null, 7, 'seal', [], {}, { ...sealed, signatures: 'x' }])
      expect(codeOf(openSeal(given, type, signersOf(1, first)))).toBe('malformed')
  })

  it('when any one bit of payload, type or signature is flipped', () => {
    const sealed = seal(type, payload, [first])
    const flipIn = (bytes: Buffer, bit: number) => {
      const copy = Buffer.from(bytes)
      const at = bit % (copy.length * 8)
      copy[at >> 3]! ^= 1 << (at & 7)
      return copy
    }
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom('payload', 'signature'), (bit, where) => {
        const [{ keyid, sig }] = sealed.signatures as [{ keyid: string; sig: string }]
        const broken =
          where === 'payload'
            ? { ...sealed, payload: flipIn(payload, bit).toString('base64') }
            : { ...sealed, signatures: [{ keyid, sig: flipIn(Buffer.from(sig, 'base64'), bit).toString('base64') }] }
        expect(codeOf(openSeal(broken, type, signersOf(1, first)))).toBe('below_threshold')
      }),
    )
  })
})

describe('a threshold of two', () => {
  it('is met by two different keys, in any order, beside signatures that count for nothing', () => {
    const sealed = seal(type, payload, [third, second, first])
    expect(openSeal(sealed, type, signersOf(2, first, second))).toEqual(payload)
  })
})
