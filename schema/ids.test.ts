import { describe, expect, it } from 'vitest'
import { idBytes, idFromBytes, idKind, mintId } from './ids.ts'

describe('an id', () => {
  it('says what it is of, and when it was made', () => {
    const id = mintId('project', Date.UTC(2026, 0, 1))
    expect(id).toMatch(/^prj_[0-9a-f]{32}$/)
    expect(idKind(id)).toBe('project')
    expect(Number.parseInt(id.slice(4, 16), 16)).toBeGreaterThanOrEqual(Date.UTC(2026, 0, 1))
  })
  it('sorts after every id minted before it, within one millisecond too', () => {
    const ids = Array.from({ length: 20_000 }, () => mintId('request', 1_800_000_000_000))
    expect([...ids].sort()).toEqual(ids)
    expect(new Set(ids).size).toBe(ids.length)
  })
  it('goes through 16 bytes and back', () => {
    const id = mintId('apiKey')
    expect(idFromBytes('apiKey', idBytes(id))).toBe(id)
  })
  it('is not anything that only looks like one', () => {
    for (const text of ['', 'prj_', 'xxx_0197', 'project/a', `prj_${'g'.repeat(32)}`])
      expect(idKind(text)).toBeUndefined()
  })
})
