import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { comparePositions, decodeCursor, decodeKeyset, encodeCursor, encodeKeyset } from '../../schema/cursor.ts'
import { isPermission, namedOnly, permissionNames, permissions, permissionsOf } from '../../schema/permissions.ts'
import { diffResources } from './diff.ts'
import { ceilTo, coverOf, floorTo, type Interval } from './intervals.ts'
import { latencyBoundsMs, latencyBucket, tupleOf } from './measures.ts'
import { subscription } from './subscription.ts'
import { masterKeyOf, openVault } from './vault.ts'

describe('the vault', () => {
  const vault = openVault('a'.repeat(32))
  const sealed = vault.seal('credential/a/1', Buffer.from('sk-secret'))

  it('opens what it sealed, for the same use and under the same key only', () => {
    expect(vault.open('credential/a/1', sealed)?.toString()).toBe('sk-secret')
    expect(vault.open('credential/b/1', sealed)).toBeUndefined()
    expect(openVault('b'.repeat(32)).open('credential/a/1', sealed)).toBeUndefined()
    expect(sealed.toString('latin1')).not.toContain('sk-secret')
  })

  it('notices every changed bit and every missing byte', () => {
    for (let index = 0; index < sealed.length; index++) {
      const changed = Buffer.from(sealed)
      changed[index]! ^= 1
      expect(vault.open('credential/a/1', changed)).toBeUndefined()
      expect(vault.open('credential/a/1', sealed.subarray(0, index))).toBeUndefined()
    }
  })

  it('digests by use, so that equal values of two uses do not look equal', () => {
    expect(vault.digest('x', 'v')).not.toBe(vault.digest('y', 'v'))
    expect(vault.digest('x', 'v')).toBe(vault.digest('x', 'v'))
  })
})

describe('the master key', () => {
  const dataDir = mkdtempSync(join(tmpdir(), 'sluice-key-'))
  afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

  it('is made once, readable by its owner alone, and refused where it is too short', () => {
    const made = masterKeyOf({ dataDir })
    expect(masterKeyOf({ dataDir })).toEqual(made)
    const path = join(dataDir, 'master.key')
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readFileSync(path, 'utf8').trim()).toBe('masterKey' in made && made.masterKey)
    expect(masterKeyOf({ dataDir, given: 'short' })).toHaveProperty('refused')
    expect(masterKeyOf({ dataDir, given: 'g'.repeat(40) })).toEqual({ masterKey: 'g'.repeat(40) })
    writeFileSync(path, '')
    expect(masterKeyOf({ dataDir })).toHaveProperty('refused')
  })
})

describe('cursors', () => {
  it('come back as what they were, and nothing else is one', () => {
    fc.assert(
      fc.property(fc.integer({ min: -1, max: 1e14 }), fc.nat(1e9), (number, sub) => {
        expect(decodeCursor(encodeCursor({ number, sub }))).toEqual({ number, sub })
      }),
    )
    fc.assert(fc.property(fc.string(), (text) => decodeCursor(text) === undefined || text.length > 0))
    expect(decodeCursor(Buffer.from('1.-2.0').toString('base64url'))).toBeUndefined()
    expect(comparePositions({ number: 1, sub: 9 }, { number: 2, sub: 0 })).toBeLessThan(0)
  })

  it('of lists hold the values of the last row', () => {
    expect(decodeKeyset(encodeKeyset(['a', 1]), 2)).toEqual(['a', 1])
    expect(decodeKeyset(encodeKeyset(['a', 1]), 1)).toBeUndefined()
    expect(decodeKeyset('%%%', 1)).toBeUndefined()
    expect(decodeKeyset(Buffer.from('[{}]').toString('base64url'), 1)).toBeUndefined()
  })
})

describe('permissions', () => {
  it('rise with the roles that hold them, and reading payloads or shredding come with none', () => {
    for (const name of permissionNames) {
      const { roles } = permissions[name] as { roles: readonly string[] }
      if (roles.length > 0) expect(permissionsOf('OWNER', true).has(name)).toBe(true)
    }
    expect([...namedOnly].sort()).toEqual(['recorder:read-payload', 'recorder:shred'])
    expect(permissionsOf('ADMIN').has('owner:grant')).toBe(false)
    expect(permissionsOf('MEMBER').has('config:read')).toBe(false)
    expect(isPermission('toString')).toBe(false)
  })
})

describe('intervals', () => {
  const ms = fc.integer({ min: 0, max: 4_102_444_800_000 })
  const interval = fc.constantFrom<Interval[]>('MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'TOTAL')

  it('hold each moment in exactly one', () => {
    fc.assert(
      fc.property(interval, ms, (of, at) => {
        const start = floorTo(of, at)
        const end = ceilTo(of, start + 1)
        expect(start).toBeLessThanOrEqual(at)
        expect(end).toBeGreaterThan(at)
        expect(floorTo(of, end - 1)).toBe(start)
        expect(ceilTo(of, start)).toBe(start)
        if (of === 'WEEK') expect(new Date(start).getUTCDay()).toBe(1)
      }),
    )
  })

  it('are covered by rollups without a gap and without overlap', () => {
    fc.assert(
      fc.property(interval, ms, fc.integer({ min: 1, max: 90 * 86_400_000 }), (of, at, length) => {
        const [from, to] = [floorTo(of, at), ceilTo(of, at + length)]
        const spans = coverOf(of, from, to).sort((a, b) => a.fromMs - b.fromMs)
        expect(spans[0]!.fromMs).toBe(from)
        expect(spans.at(-1)!.toMs).toBe(to)
        spans.slice(1).forEach((span, index) => {
          expect(span.fromMs).toBe(spans[index]!.toMs)
        })
        for (const span of spans) {
          expect(floorTo(span.interval, span.fromMs)).toBe(span.fromMs)
          expect(floorTo(span.interval, span.toMs)).toBe(span.toMs)
        }
      }),
    )
  })
})

describe('measures', () => {
  it('name a tuple the same whatever the order of its labels', () => {
    const plain = {
      team: 'a',
      project: '',
      principal: '',
      apiKey: '',
      provider: '',
      model: '',
      alias: '',
      tier: '',
      dataPlane: 'd',
    }
    const one = tupleOf({ ...plain, requestLabels: { a: '1', b: '2' } })
    expect(tupleOf({ ...plain, requestLabels: { b: '2', a: '1' } })).toBe(one)
    expect(tupleOf({ ...plain, requestLabels: { b: '2' } })).not.toBe(one)
    expect(tupleOf({ ...plain, team: '', project: 'a', requestLabels: { a: '1', b: '2' } })).not.toBe(one)
  })

  it('put every latency into one bucket', () => {
    expect(latencyBucket(0)).toBe(0)
    expect(latencyBucket(1.5)).toBe(1)
    expect(latencyBucket(Number.POSITIVE_INFINITY)).toBe(latencyBoundsMs.length)
  })
})

describe('a diff', () => {
  const team = (spec: object) => ({ kind: 'team' as const, name: 't', labels: {}, spec })

  it('tells leaves, lists by index, and a mass of changes as one', () => {
    const before = team({ list: [{ a: 1 }, { a: 2 }], same: 1, gone: 'x' })
    const after = team({ list: [{ a: 1 }, { a: 3 }, { a: 4 }], same: 1, gone: null })
    expect(diffResources(before, after, (id) => id)).toEqual([
      { path: ['list', '1', 'a'], before: '2', after: '3' },
      { path: ['list', '2', 'a'], before: null, after: '4' },
      { path: ['gone'], before: 'x', after: null },
    ])
    const many = team({ list: Array.from({ length: 500 }, (_, a) => ({ a })) })
    const [whole, ...rest] = diffResources(team({ list: [] }), many, (id) => id)
    expect(rest).toEqual([])
    expect(whole!.after).toContain('sha256')
    expect(whole!.after!.length).toBeLessThan(400)
  })
})

describe('a subscription', () => {
  it('lets go of what it holds when its reader leaves while it waits', async () => {
    let released = false
    const stream = subscription(new AbortController().signal, async function* (running) {
      try {
        yield 1
        while (!running.ended) await running.bell.wait(60_000)
      } finally {
        released = true
      }
    })
    expect(await stream.next()).toEqual({ done: false, value: 1 })
    const waiting = stream.next()
    await stream.return!()
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(released).toBe(true)
  })
})
