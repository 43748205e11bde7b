import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { describe, expect, it } from 'vitest'
import {
  type Envelope,
  envelopeType,
  openEnvelope,
  type Recipient,
  reopenEnvelope,
  sealEnvelope,
  unwrapContentKey,
  wrapContentKey,
} from './envelope.ts'
import { isGapRefusal } from './refusal.ts'
import { seal } from './seal.ts'
import { openSecret, sealSecret } from './secrets.ts'
import { describeRoot, openFirstRoot, sealRoot, trustRootType, type VerifiedRoot } from './trust-root.ts'

const makeKey = () => generateKeyPairSync('ed25519').privateKey
const rootKey = makeKey()
const onlineKey = makeKey()
const siteKeys = [makeKey(), makeKey()]
const root = openFirstRoot(
  sealRoot(
    describeRoot({
      installation: 'slc_1',
      version: 1,
      expiresAtMs: 1_000_000,
      roles: {
        root: { keys: [rootKey], threshold: 1 },
        online: { keys: [onlineKey], threshold: 1 },
        site: { keys: siteKeys, threshold: 2 },
      },
    }),
    [rootKey],
  ),
) as VerifiedRoot

const envelope: Envelope = {
  schemaVersion: 1,
  installation: 'slc_1',
  role: 'online',
  audience: { kind: 'instance', id: 'ins_1' },
  tenant: 'ten_1',
  sequence: 5,
  contentDigest: 'a'.repeat(64),
  revision: 3,
  deltaNumber: 2,
  createdAtMs: 1_000,
  notBeforeMs: 1_000,
  expiresAtMs: 9_000,
  minimumVersion: '0.1.0',
  contentKey: null,
  critical: ['audience', 'sequence'],
}
const recipient: Recipient = {
  root,
  role: 'online',
  instance: 'ins_1',
  fleet: 'dpl_1',
  version: '0.1.0',
  nowMs: 2_000,
  held: undefined,
  futureToleranceMs: 500,
}
const open = (change: object = {}, by: Partial<Recipient> = {}, keys = [onlineKey]) => {
  const opened = openEnvelope(sealEnvelope({ ...envelope, ...change } as Envelope, keys), { ...recipient, ...by })
  return isGapRefusal(opened) ? opened.refused : opened.held ? 'held' : 'taken'
}

describe('an envelope is taken', () => {
  it('by the instance it is meant for, and by its fleet', () => {
    expect(open()).toBe('taken')
    expect(open({ audience: { kind: 'fleet', id: 'dpl_1' } })).toBe('taken')
  })

  it('once: the same again is already held', () => {
    expect(open({}, { held: { sequence: 5, contentDigest: envelope.contentDigest, revision: 3 } })).toBe('held')
  })

  it('after any lower sequence', () => {
    expect(open({}, { held: { sequence: 4, contentDigest: 'b'.repeat(64), revision: 3 } })).toBe('taken')
  })

  it('with fields that this version does not know, as long as it need not know them', () => {
    expect(open({ allotments: [] })).toBe('taken')
  })

  it('by the site role only with its own threshold', () => {
    const site = { role: 'site' as const }
    expect(open(site, site, siteKeys)).toBe('taken')
    expect(open(site, site, [siteKeys[0]!])).toBe('below_threshold')
    expect(open(site, site, [siteKeys[0]!, siteKeys[0]!])).toBe('below_threshold')
  })
})

describe('an envelope is refused', () => {
  it('with a lower sequence, or the same sequence over another content', () => {
    const held = { sequence: 6, contentDigest: 'b'.repeat(64), revision: 3 }
    expect(open({}, { held })).toBe('rolled_back')
    expect(open({ sequence: 6 }, { held })).toBe('forked')
  })

  it('with a higher sequence over an older revision', () => {
    expect(open({ sequence: 9 }, { held: { sequence: 5, contentDigest: 'b'.repeat(64), revision: 4 } })).toBe(
      'rolled_back',
    )
  })

  it('when it is meant for another instance, fleet, installation or role', () => {
    expect(open({ audience: { kind: 'instance', id: 'ins_2' } })).toBe('wrong_audience')
    expect(open({ audience: { kind: 'fleet', id: 'ins_1' } })).toBe('wrong_audience')
    expect(open({ installation: 'slc_2' })).toBe('wrong_audience')
    expect(open({ role: 'site' })).toBe('wrong_role')
  })

  it('when a key of another role signed it', () => {
    expect(open({}, {}, [rootKey])).toBe('below_threshold')
    expect(open({}, {}, siteKeys)).toBe('below_threshold')
    expect(open({ role: 'site' }, { role: 'site' }, [onlineKey])).toBe('below_threshold')
  })

  it('when it demands that something unknown is understood, even if the rest cannot be read', () => {
    expect(open({ critical: ['allotments'] })).toBe('unknown_critical')
    expect(open({ critical: ['newThing'], audience: 'in a new form' })).toBe('unknown_critical')
    expect(open({ critical: ['toString'] })).toBe('unknown_critical')
  })

  it('after its end, and long before its beginning', () => {
    expect(open({}, { nowMs: 9_000 })).toBe('expired')
    expect(open({ notBeforeMs: 2_501, createdAtMs: 2_501 })).toBe('not_yet_valid')
    expect(open({ notBeforeMs: 2_500, createdAtMs: 2_500 })).toBe('taken')
    expect(open({ createdAtMs: 8_000 })).toBe('not_yet_valid')
    expect(open({ expiresAtMs: 1_000 })).toBe('malformed')
  })

  it('by a plane whose software is too old, and only by such', () => {
    for (const [version, code] of [
      ['0.1.9', 'version_too_old'],
      ['0.2.0', 'taken'],
      ['0.10.0', 'taken'],
      ['1.0.0', 'taken'],
      ['0.2.0-rc.1', 'taken'],
      ['garbage', 'version_too_old'],
    ] as const)
      expect(open({ minimumVersion: '0.2.0' }, { version }), version).toBe(code)
  })

  it('under a trust root that has expired, or that knows no such role', () => {
    expect(open({}, { nowMs: 1_000_000 })).toBe('expired')
    const { site: _, ...roles } = root.document.roles
    const without = openFirstRoot(
      seal(trustRootType, Buffer.from(JSON.stringify({ ...root.document, roles })), [rootKey]),
    ) as VerifiedRoot
    expect(open({ role: 'site' }, { role: 'site', root: without }, siteKeys)).toBe('wrong_role')
  })

  it('when its form is not an envelope at all, though signed', () => {
    for (const payload of ['null', '[]', 'not json', '{}', '{"critical":[]}']) {
      const opened = openEnvelope(seal(envelopeType, Buffer.from(payload), [onlineKey]), recipient)
      expect(isGapRefusal(opened) && opened.refused).toBe('malformed')
    }
  })

  it('with a sentence that names the way out and holds no key', () => {
    const refusal = openEnvelope(sealEnvelope({ ...envelope, minimumVersion: '3.0.0' }, [onlineKey]), recipient)
    expect(refusal).toMatchObject({ sentence: 'It needs version 3.0.0 or newer; this is 0.1.0.' })
  })
})

describe('an envelope that was taken before', () => {
  it('may be reopened at a start after its end: staleness bounds how long it runs', () => {
    expect(reopenEnvelope(sealEnvelope(envelope, [onlineKey]), { ...recipient, nowMs: 9_000_000 })).toEqual(envelope)
  })

  it('is judged by signature, audience and version again', () => {
    const sealed = sealEnvelope(envelope, [onlineKey])
    expect(isGapRefusal(reopenEnvelope({ ...sealed, signatures: [] }, recipient))).toBe(true)
    expect(isGapRefusal(reopenEnvelope(sealed, { ...recipient, instance: 'ins_2' }))).toBe(true)
  })
})

describe('a content key', () => {
  it('is opened by the instance it was wrapped for, and by no other', async () => {
    const [own, other] = [await generateX25519Identity(), await generateX25519Identity()]
    const contentKey = randomBytes(32)
    const wrapped = await wrapContentKey(contentKey, await identityToRecipient(own))
    const opened = await unwrapContentKey(wrapped, own)
    expect(isGapRefusal(opened) ? opened : opened.export()).toEqual(contentKey)
    expect(await unwrapContentKey(wrapped, other)).toMatchObject({ refused: 'unreadable_key' })
    expect(await unwrapContentKey('AAAA', own)).toMatchObject({ refused: 'unreadable_key' })
  })

  it('of a wrong length is refused', async () => {
    const own = await generateX25519Identity()
    const wrapped = await wrapContentKey(randomBytes(16), await identityToRecipient(own))
    expect(await unwrapContentKey(wrapped, own)).toMatchObject({ refused: 'unreadable_key' })
  })
})

describe('a sealed secret', () => {
  const key = randomBytes(32)
  const sealed = sealSecret(key, 'ten_1', 'crd_1', 'sk-very-secret')

  it('opens for its own tenant and credential', () => {
    expect(openSecret(key, 'ten_1', 'crd_1', sealed)).toBe('sk-very-secret')
    expect(sealed).not.toContain('secret')
  })

  it('does not open as another credential, tenant, key, or with a flipped bit', () => {
    expect(openSecret(key, 'ten_1', 'crd_2', sealed)).toBeUndefined()
    expect(openSecret(key, 'ten_2', 'crd_1', sealed)).toBeUndefined()
    expect(openSecret(randomBytes(32), 'ten_1', 'crd_1', sealed)).toBeUndefined()
    const bytes = Buffer.from(sealed, 'base64')
    bytes[20]! ^= 1
    expect(openSecret(key, 'ten_1', 'crd_1', bytes.toString('base64'))).toBeUndefined()
    expect(openSecret(key, 'ten_1', 'crd_1', 'AAAA')).toBeUndefined()
  })
})
