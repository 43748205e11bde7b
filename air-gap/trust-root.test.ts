import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type GapRefusal, isGapRefusal } from './refusal.ts'
import { keyIdOf, type Seal, seal } from './seal.ts'
import {
  describeRoot,
  followRotations,
  isRootExpired,
  openFirstRoot,
  openNextRoot,
  type RoleKeys,
  sealRoot,
  type TrustRoot,
  trustRootType,
  type VerifiedRoot,
} from './trust-root.ts'

const makeKey = () => generateKeyPairSync('ed25519').privateKey
const [a, b, c, d, online] = Array.from({ length: 5 }, makeKey) as [
  KeyObject,
  KeyObject,
  KeyObject,
  KeyObject,
  KeyObject,
]

const role = (threshold: number, ...keys: KeyObject[]): RoleKeys => ({ keys, threshold })
const rootOf = (version: number, root: RoleKeys, installation = 'slc_1'): TrustRoot =>
  describeRoot({ installation, version, expiresAtMs: 10_000, roles: { root, online: role(1, online) } })
const trust = (root: RoleKeys, version = 1): VerifiedRoot => {
  const opened = openFirstRoot(sealRoot(rootOf(version, root), root.keys))
  if (isGapRefusal(opened)) throw new Error(opened.sentence)
  return opened
}
const codeOf = (result: VerifiedRoot | GapRefusal) => (isGapRefusal(result) ? result.refused : 'opened')
const sealAnything = (document: unknown, keys: KeyObject[]): Seal =>
  seal(trustRootType, Buffer.from(JSON.stringify(document)), keys)

describe('a first trust root', () => {
  it('opens when its own root role signed it, and tells who may sign what', () => {
    const root = trust(role(2, a, b))
    expect(root.signers('online')?.threshold).toBe(1)
    expect([...root.signers('online')!.keys.keys()]).toEqual([keyIdOf(online)])
    expect(root.signers('site')).toBeUndefined()
  })

  it('is refused below its own threshold', () => {
    expect(codeOf(openFirstRoot(sealRoot(rootOf(1, role(2, a, b)), [a])))).toBe('below_threshold')
  })

  it('is refused when only a key of another role signed it', () => {
    expect(codeOf(openFirstRoot(sealRoot(rootOf(1, role(1, a)), [online])))).toBe('below_threshold')
  })

  it('is refused with a threshold of 0, of more than its keys, or without keys', () => {
    const root = rootOf(1, role(1, a))
    for (const threshold of [0, 2, -1, 1.5]) {
      const changed = { ...root, roles: { ...root.roles, root: { ...root.roles.root, threshold } } }
      expect(codeOf(openFirstRoot(sealAnything(changed, [a])))).toBe('malformed')
    }
    const empty = { ...root, roles: { ...root.roles, online: { keys: [], threshold: 1 } } }
    expect(codeOf(openFirstRoot(sealAnything(empty, [a])))).toBe('malformed')
  })

  it('is refused when one key stands in it under two ids, or twice in a role', () => {
    const root = rootOf(1, role(1, a))
    const alias = 'f'.repeat(64)
    const twoIds = {
      ...root,
      keys: { ...root.keys, [alias]: root.keys[keyIdOf(a)] },
      roles: { ...root.roles, root: { keys: [keyIdOf(a), alias], threshold: 2 } },
    }
    expect(codeOf(openFirstRoot(sealAnything(twoIds, [a, a])))).toBe('malformed')
    const twice = { ...root, roles: { ...root.roles, root: { keys: [keyIdOf(a), keyIdOf(a)], threshold: 2 } } }
    expect(codeOf(openFirstRoot(sealAnything(twice, [a])))).toBe('malformed')
  })

  it('is refused when a role names a key that is not there, or a key is no Ed25519 key', () => {
    const root = rootOf(1, role(1, a))
    const missing = { ...root, roles: { ...root.roles, root: { keys: ['0'.repeat(64)], threshold: 1 } } }
    expect(codeOf(openFirstRoot(sealAnything(missing, [a])))).toBe('malformed')
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey
    const foreign = {
      ...root,
      keys: {
        ...root.keys,
        [keyIdOf(rsa)]: rsa.export({ type: 'spki', format: 'der' }).toString('base64').slice(0, 200),
      },
    }
    expect(codeOf(openFirstRoot(sealAnything(foreign, [a])))).toBe('malformed')
  })

  it('is refused with fields it does not know: they might restrict it', () => {
    expect(codeOf(openFirstRoot(sealAnything({ ...rootOf(1, role(1, a)), extra: 1 }, [a])))).toBe('malformed')
  })

  it('is refused when it is far too large', () => {
    const sealed = sealRoot(rootOf(1, role(1, a)), [a])
    expect(codeOf(openFirstRoot({ ...sealed, payload: 'A'.repeat(1_000_000) }))).toBe('too_large')
  })

  it('expires', () => {
    const root = trust(role(1, a))
    expect(isRootExpired(root, 9_999)).toBe(false)
    expect(isRootExpired(root, 10_000)).toBe(true)
  })
})

describe('a rotation', () => {
  it('is taken when old and new root role both signed it', () => {
    const next = sealRoot(rootOf(2, role(2, c, d)), [a, c, d])
    const opened = openNextRoot(trust(role(1, a)), next)
    expect(codeOf(opened)).toBe('opened')
  })

  it('is refused when only the old role signed it', () => {
    expect(codeOf(openNextRoot(trust(role(1, a)), sealRoot(rootOf(2, role(1, c)), [a])))).toBe('below_threshold')
  })

  it('is refused when only the new role signed it', () => {
    expect(codeOf(openNextRoot(trust(role(1, a)), sealRoot(rootOf(2, role(1, c)), [c])))).toBe('below_threshold')
  })

  it('is refused when the old threshold is met by one key signing twice', () => {
    const sealed = sealRoot(rootOf(2, role(1, c)), [a, a, c])
    expect(codeOf(openNextRoot(trust(role(2, a, b)), sealed))).toBe('below_threshold')
  })

  it('is refused when it skips a version, repeats one or goes back', () => {
    for (const version of [3, 1])
      expect(codeOf(openNextRoot(trust(role(1, a)), sealRoot(rootOf(version, role(1, a)), [a])))).toBe('rolled_back')
  })

  it('is refused from another installation', () => {
    const foreign = sealRoot(rootOf(2, role(1, a), 'slc_2'), [a])
    expect(codeOf(openNextRoot(trust(role(1, a)), foreign))).toBe('wrong_audience')
  })

  it('may lower nothing to 0', () => {
    const next = rootOf(2, role(1, c))
    const open = { ...next, roles: { ...next.roles, online: { ...next.roles.online!, threshold: 0 } } }
    expect(codeOf(openNextRoot(trust(role(1, a)), sealAnything(open, [a, c])))).toBe('malformed')
  })

  it('is followed through a chain, passing over what is known', () => {
    const chain = [
      sealRoot(rootOf(1, role(1, a)), [a]),
      sealRoot(rootOf(2, role(1, b)), [a, b]),
      sealRoot(rootOf(3, role(1, c)), [b, c]),
    ]
    const newest = followRotations(trust(role(1, a)), chain)
    expect(isGapRefusal(newest) ? newest : newest.document.version).toBe(3)
    expect(followRotations(trust(role(1, a)), [])).toBeTruthy()
  })

  it('is refused whole where one link of the chain is missing', () => {
    const chain = [sealRoot(rootOf(2, role(1, b)), [a, b]), sealRoot(rootOf(4, role(1, c)), [b, c])]
    expect(codeOf(followRotations(trust(role(1, a)), chain))).toBe('rolled_back')
  })

  it('makes the old keys worthless for what comes after', () => {
    const second = openNextRoot(trust(role(1, a)), sealRoot(rootOf(2, role(1, b)), [a, b])) as VerifiedRoot
    expect(codeOf(openNextRoot(second, sealRoot(rootOf(3, role(1, a)), [a])))).toBe('below_threshold')
  })
})
