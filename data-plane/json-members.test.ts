import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { editMembers, nestingMax, scanMembers } from './json-members.ts'

const spacing = fc.constantFrom('', ' ', '\n  ', '\t\r\n')

/** An object's JSON with arbitrary space between its tokens. */
const spaced = fc
  .tuple(fc.dictionary(fc.string(), fc.jsonValue(), { maxKeys: 8 }), spacing, spacing)
  .map(([value, a, b]) => ({
    value,
    text: `${a}{${b}${Object.entries(value)
      .map(([key, member]) => `${JSON.stringify(key)}${a}:${b}${JSON.stringify(member, null, a ? 1 : 0)}${a}`)
      .join(`,${b}`)}}${a}`,
  }))

const scan = (text: string) => {
  const scanned = scanMembers(text)
  if ('problem' in scanned) throw new Error(scanned.problem)
  return scanned.members
}

describe('the members of a JSON object', () => {
  it('are found where they stand, whatever they hold', () => {
    fc.assert(
      fc.property(spaced, ({ value, text }) => {
        const found = scan(text).map(({ key, valueStart, end }) => [key, JSON.parse(text.slice(valueStart, end))])
        expect(found).toEqual(Object.entries(JSON.parse(JSON.stringify(value))))
      }),
    )
  })
  it('can be replaced or added, and every other byte stays', () => {
    fc.assert(
      fc.property(spaced, fc.jsonValue(), ({ value, text }, news) => {
        const [first] = Object.keys(value)
        const edits = { ...(first !== undefined && { [first]: JSON.stringify(news) }), 'added by us': '[1]' }
        const edited = editMembers(text, scan(text), edits)
        expect(JSON.parse(edited)).toEqual(
          JSON.parse(JSON.stringify({ ...value, ...(first !== undefined && { [first]: news }), 'added by us': [1] })),
        )
        expect(editMembers(text, scan(text), {})).toBe(text)
      }),
    )
  })
  it('that stand twice are a problem, however their key is spelled', () => {
    expect(scanMembers('{"model":"a","mod\\u0065l":"b"}')).toEqual({ problem: 'repeated_key', key: 'model' })
  })
  it('are not looked for in what is no object', () => {
    for (const text of ['', '[]', '"x"', 'null', '1']) expect(scanMembers(text)).toEqual({ problem: 'not_an_object' })
    for (const text of ['{', '{"a"', '{"a":', '{"a":"', '{"a":1,', '{"a":[', '{a:1}', '{"a" 1}'])
      expect(scanMembers(text)).toEqual({ problem: 'broken' })
  })
  it('may nest only so deep, and be only so many', () => {
    const nest = (depth: number) => `{"a":${'['.repeat(depth)}${']'.repeat(depth)}}`
    expect(scanMembers(nest(nestingMax))).toHaveProperty('members')
    expect(scanMembers(nest(nestingMax + 1))).toEqual({ problem: 'too_deep' })
    expect(scanMembers(`{"a":${'['.repeat(16_000_000)}`)).toEqual({ problem: 'too_deep' })
    expect(scanMembers(`{"a":[${'{},'.repeat(1_000_000)}{}]}`)).toEqual({ problem: 'too_many_values' })
  })
})
