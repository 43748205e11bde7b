import { describe, expect, it } from 'vitest'
import { pseudonym, runningLabels } from './declared.ts'
import { parseLabels } from './header.ts'
import { LabelValues, overflowValue } from './values.ts'

describe('the header', () => {
  it('is read as pairs, with what is percent-encoded decoded', () => {
    expect([...(parseLabels('case=b, step = a=b ,n=%E2%82%AC%2C') as Map<string, string>)]).toEqual([
      ['case', 'b'],
      ['step', 'a=b'],
      ['n', '€,'],
    ])
  })
  it('is bounded in length and number', () => {
    expect(parseLabels(`a=${'x'.repeat(4_096)}`)).toHaveProperty('wrong')
    expect(parseLabels(Array.from({ length: 65 }, (_, at) => `l${at}=x`).join(','))).toHaveProperty('wrong')
  })
})

describe('the number of values', () => {
  const dayMs = 86_400_000
  it('is bounded for each label of each tenant, and counted anew each day', () => {
    const values = new LabelValues()
    const take = (value: string, tenant = 'ten_1', key = 'case', nowMs = 0) =>
      values.bounded(tenant, key, value, 2, nowMs)
    expect(['a', 'b', 'c', 'a'].map((value) => take(value))).toEqual(['a', 'b', overflowValue, 'a'])
    expect([take('c', 'ten_2'), take('c', 'ten_1', 'step')]).toEqual(['c', 'c'])
    expect([take('c', 'ten_1', 'case', dayMs), take('d', 'ten_1', 'case', dayMs)]).toEqual(['c', 'd'])
    expect(take('a', 'ten_1', 'case', dayMs)).toBe(overflowValue)
  })
})

describe('a pseudonym', () => {
  const [key, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
  it('is bound to its key and its label, and never changes', () => {
    // The form is part of what is recorded for ever: this text must not change.
    expect(pseudonym(key, 'person', 'alice')).toBe('~95-toh7sr2-kXJocEyU_Rw')
    const all = [
      pseudonym(key, 'person', 'alice'),
      pseudonym(other, 'person', 'alice'),
      pseudonym(key, 'user', 'alice'),
    ]
    expect(new Set(all).size).toBe(3)
    expect(pseudonym(key, 'a', 'bc')).not.toBe(pseudonym(key, 'ab', 'c'))
  })
  it('is what a key binds a person as', () => {
    const declared = [{ key: 'person', from: [], required: true, values: null, maxValues: 5, subject: true }]
    const grant = { requestLabels: { person: 'alice', app: 'x' } } as never
    const { bound, isClosed } = runningLabels(declared, key).of(grant)
    expect([bound, isClosed]).toEqual([{ app: 'x', person: pseudonym(key, 'person', 'alice') }, true])
    expect(runningLabels(declared, undefined).of(grant)).toMatchObject({ bound: { app: 'x' }, unkept: 'person' })
  })
})
