import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type RetryCause, retryCauses } from '../../schema/config/index.ts'
import type { RunningRoute } from '../snapshot/running.ts'
import { Itinerary } from './itinerary.ts'
import type { Target } from './target.ts'

const credentials = new Map<string, object>()
const credentialOf = (id: string) => {
  if (id === '-') return null
  if (!credentials.has(id)) credentials.set(id, { id })
  return credentials.get(id)!
}

/** `a/1` is model a with credential 1; `a/-` needs none. */
function target(name: string): Target {
  const [key, credential] = name.split('/') as [string, string]
  return { key, model: { id: key, name: key }, credential: credentialOf(credential), tries: 0 } as unknown as Target
}
const nameOf = ({ key, credential }: Target) => `${key}/${credential?.id ?? '-'}`

function itinerary(names: string[], on: readonly RetryCause[] = retryCauses) {
  return new Itinerary({ retry: { on } } as unknown as RunningRoute, names.map(target), 'priority', [])
}

function leftAfter(names: string[], cause: RetryCause, on?: readonly RetryCause[]): string[] | 'over' {
  const way = itinerary(names, on)
  return way.goesOn(cause) ? way.targets.map(nameOf) : 'over'
}

describe('after an attempt that failed', () => {
  it('for the model, the next target follows, and the failed one is last', () => {
    for (const cause of ['CONNECT_FAILED', 'TIMEOUT', 'OVERLOADED', 'SERVER_ERROR'] as const)
      expect(leftAfter(['a/1', 'b/2', 'a/3'], cause)).toEqual(['b/2', 'a/3', 'a/1'])
    expect(leftAfter(['a/1'], 'SERVER_ERROR')).toEqual(['a/1'])
  })

  it('for the credential, the same model with another comes first, and what shares the credential comes last', () => {
    expect(leftAfter(['a/1', 'b/1', 'c/3', 'a/2'], 'RATE_LIMITED')).toEqual(['a/2', 'c/3', 'b/1', 'a/1'])
    expect(leftAfter(['a/-', 'b/1'], 'RATE_LIMITED')).toEqual(['b/1', 'a/-'])
  })

  it('a credential that was not accepted is not used again', () => {
    expect(leftAfter(['a/1', 'b/1', 'c/3', 'a/2'], 'AUTH_FAILED')).toEqual(['a/2', 'c/3'])
    expect(leftAfter(['a/1', 'b/1'], 'AUTH_FAILED')).toBe('over')
  })

  it('a model that cannot take the request is not asked again, with whatever credential', () => {
    for (const cause of ['CONTEXT_TOO_LONG', 'CONTENT_FILTERED'] as const) {
      expect(leftAfter(['a/1', 'a/2', 'b/1'], cause)).toEqual(['b/1'])
      expect(leftAfter(['a/1', 'a/2'], cause)).toBe('over')
    }
  })

  it('for a cause that the route does not name it is over, but for a credential of several', () => {
    expect(leftAfter(['a/1', 'b/2'], 'SERVER_ERROR', [])).toBe('over')
    expect(leftAfter(['a/1', 'b/2'], 'AUTH_FAILED', [])).toBe('over')
    expect(leftAfter(['a/1', 'b/2', 'a/2'], 'AUTH_FAILED', [])).toEqual(['a/2', 'b/2'])
  })

  it('no target is invented or doubled, whatever happens', () => {
    const names = fc.uniqueArray(fc.constantFrom('a/1', 'a/2', 'b/1', 'b/2', 'c/-', 'd/3'), { minLength: 1 })
    const property = fc.property(names, fc.array(fc.constantFrom(...retryCauses), { maxLength: 8 }), (all, causes) => {
      const way = itinerary(all)
      for (const cause of causes) {
        if (!way.goesOn(cause)) return
        const left = way.targets.map(nameOf)
        expect(new Set(left).size).toBe(left.length)
        expect(all).toEqual(expect.arrayContaining(left))
      }
    })
    fc.assert(property, { numRuns: 300 })
  })
})

describe('the reason of an itinerary', () => {
  it('says what was left out and why, by id, and is bounded', () => {
    const way = itinerary(['a/1', 'b/2'])
    expect(way.reason).toBe('priority')
    expect(way.passOver('unsupported_feature')).toBe(true)
    expect(way.reason).toBe('priority; unsupported_feature a')
    expect(way.passOver('unsupported_feature')).toBe(false)
    for (let at = 0; at < 32; at++) way.omitted.push({ model: target(`m${at}/-`).model, why: 'resting' })
    expect(way.reason).toBe('priority; unsupported_feature a; resting m0, m1, m2, m3, m4, m5, m6, m7 and 24 more')
  })
})
