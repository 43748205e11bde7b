import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { mintId } from '../schema/ids.ts'
import { hashKey, type KeyRow, mintKey, packKeys } from '../schema/key-table.ts'
import {
  assembleContent,
  checkPart,
  contentBytesMax,
  digestOf,
  manifestBytesMax,
  partBytesMax,
  readManifest,
  writeManifest,
} from './content.ts'
import { isGapRefusal } from './refusal.ts'

const rows: KeyRow[] = Array.from({ length: 40 }, () => ({
  hash: hashKey(mintKey('slk')),
  apiKey: mintId('apiKey'),
  grant: 0,
  revoked: false,
  expiresAtMs: null,
}))
const parts = new Map<string, Uint8Array>([
  ['config', Buffer.from('{}')],
  ['secrets', Buffer.from('{}{}')],
  ...[...packKeys(rows)].map(([first, bytes]) => [`keys/${first.toString(16).padStart(2, '0')}`, bytes] as const),
])
const written = writeManifest({ tenant: 'ten_1', revision: 7, deltaNumber: 3, parts })
const claim = { tenant: 'ten_1', contentDigest: written.digest, revision: 7, deltaNumber: 3 }
const byDigest = new Map([...parts.values()].map((bytes) => [digestOf(bytes), bytes]))

const codeOf = (result: unknown) => (isGapRefusal(result) ? result.refused : 'taken')
/** A manifest with anything in it, truly named by its claim. */
const forged = (change: object) => {
  const bytes = Buffer.from(JSON.stringify({ ...written.manifest, ...change }))
  return readManifest(bytes, { ...claim, contentDigest: digestOf(bytes) })
}
const part = (name: string, bytes = 1) => ({ name, digest: '0'.repeat(64), bytes })

describe('a content', () => {
  it('is put together from its parts again', () => {
    const manifest = readManifest(written.bytes, claim)
    const content = isGapRefusal(manifest)
      ? manifest
      : assembleContent(manifest, written.digest, (d) => byDigest.get(d))
    if (isGapRefusal(content)) throw new Error(content.sentence)
    expect(content.config).toEqual(parts.get('config'))
    expect(content.secrets).toEqual(parts.get('secrets'))
    expect(content.shards.size).toBe(parts.size - 2)
  })

  it('has the same digest however its parts were listed', () => {
    const other = writeManifest({ tenant: 'ten_1', revision: 7, deltaNumber: 3, parts: new Map([...parts].reverse()) })
    expect(other.digest).toBe(written.digest)
  })
})

describe('a manifest is refused', () => {
  it('when a byte of it differs from what the envelope names, before it is parsed', () => {
    const changed = Buffer.from(written.bytes)
    changed[10]! ^= 1
    expect(codeOf(readManifest(changed, claim))).toBe('wrong_digest')
    expect(codeOf(readManifest(Buffer.from('not json'), claim))).toBe('wrong_digest')
    expect(codeOf(readManifest(written.bytes.subarray(0, -1), claim))).toBe('wrong_digest')
  })

  it('when a part has a name that is a path, or any name but the known ones', () => {
    const names = [
      '../config',
      '/etc/passwd',
      'keys/../x',
      'keys/0',
      'keys/000',
      'keys/FF',
      'keys\\00',
      'config\0',
      'config ',
      'C:config',
      '',
      'keys/00/..',
      '..',
      'con',
      'KEYS/00',
    ]
    for (const name of names) expect(codeOf(forged({ parts: [part('config'), part(name)] })), name).toBe('malformed')
  })

  it('when a digest is not one: it becomes a file name', () => {
    for (const digest of ['../../x', 'A'.repeat(64), '0'.repeat(63), ''])
      expect(codeOf(forged({ parts: [{ ...part('config'), digest }] }))).toBe('malformed')
  })

  it('when it names a part twice, or no configuration', () => {
    expect(codeOf(forged({ parts: [part('config'), part('config')] }))).toBe('malformed')
    expect(codeOf(forged({ parts: [part('secrets')] }))).toBe('missing_part')
    expect(codeOf(forged({ parts: [] }))).toBe('missing_part')
  })

  it('when it has more parts, or larger ones, than there can be', () => {
    const many = Array.from({ length: 300 }, (_, n) => part(`keys/${(n % 256).toString(16).padStart(2, '0')}`))
    expect(codeOf(forged({ parts: many }))).toBe('malformed')
    expect(codeOf(forged({ parts: [part('config', partBytesMax + 1)] }))).toBe('malformed')
    expect(codeOf(forged({ parts: [part('config', -1)] }))).toBe('malformed')
    const heavy = Array.from({ length: Math.ceil(contentBytesMax / partBytesMax) }, (_, n) =>
      part(`keys/0${n}`, partBytesMax),
    )
    expect(codeOf(forged({ parts: [part('config', 1), ...heavy] }))).toBe('too_large')
    expect(codeOf(readManifest(Buffer.alloc(manifestBytesMax + 1), claim))).toBe('too_large')
  })

  it('when it is of another tenant, revision or delta number than its envelope', () => {
    expect(codeOf(forged({ tenant: 'ten_2' }))).toBe('wrong_tenant')
    expect(codeOf(forged({ revision: 8 }))).toBe('malformed')
    expect(codeOf(forged({ deltaNumber: 4 }))).toBe('malformed')
  })

  it('when it has a form that this version does not know', () => {
    expect(codeOf(forged({ schemaVersion: 2 }))).toBe('malformed')
    expect(codeOf(forged({ extra: true }))).toBe('malformed')
  })
})

describe('a part is refused', () => {
  const config = written.manifest.parts.find(({ name }) => name === 'config')!

  it('when it was truncated or has bytes after its end', () => {
    expect(checkPart(config, Buffer.from('{'))?.refused).toBe('wrong_digest')
    expect(checkPart(config, Buffer.from('{} '))?.refused).toBe('wrong_digest')
  })

  it('when its bytes differ at the same length', () => {
    expect(checkPart(config, Buffer.from('[]'))?.refused).toBe('wrong_digest')
  })

  it('when it is missing: all or nothing', () => {
    for (const missing of byDigest.keys()) {
      const find = (digest: string) => (digest === missing ? undefined : byDigest.get(digest))
      expect(codeOf(assembleContent(written.manifest, written.digest, find))).toBe('missing_part')
    }
  })

  it('when a shard is not a sorted table of keys of its own first byte', () => {
    const first = [...packKeys(rows)][0]!
    const bad = [Buffer.concat([first[1], first[1]]), randomBytes(64), first[1].subarray(0, 63)]
    for (const bytes of bad) {
      const shard = `keys/${((first[0] + 1) % 256).toString(16).padStart(2, '0')}`
      const { manifest, digest } = writeManifest({
        tenant: 't',
        revision: 1,
        deltaNumber: 0,
        parts: new Map([
          ['config', Buffer.from('{}')],
          [shard, bytes],
        ]),
      })
      const find = (name: string) => [Buffer.from('{}'), bytes].find((part) => digestOf(part) === name)
      expect(codeOf(assembleContent(manifest, digest, find))).toBe('malformed')
    }
  })
})
