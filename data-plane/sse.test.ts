import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { plainEvents, SseCutter, type SseEvent } from './sse.ts'

const line = fc.oneof(
  fc.string().map((text) => `data: ${text.replace(/[\r\n]/g, '')}`),
  fc.constantFrom('data', 'data:', ': comment', 'event: ping', 'id: 7', 'data:no space', 'dat\u00e9: \u{1F600}'),
)
const stream = fc
  .tuple(
    fc.array(fc.array(line, { minLength: 1, maxLength: 4 }), { maxLength: 6 }),
    fc.constantFrom('\n', '\r\n', '\r'),
  )
  .map(([events, end]) => ({
    text: events.map((lines) => lines.map((each) => each + end).join('') + end).join(''),
    events,
  }))

function read(chunks: Uint8Array[]): SseEvent[] {
  const cutter = new SseCutter(1_000_000)
  const events = chunks.flatMap((chunk) => cutter.push(chunk))
  const last = cutter.end()
  return [...events, ...(last ? [last] : [])] as SseEvent[]
}

function cut(bytes: Uint8Array, at: number[]): Uint8Array[] {
  const places = [...new Set([0, ...at.map((place) => place % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b)
  return places.slice(1).map((place, index) => bytes.slice(places[index], place))
}

const dataOf = (lines: string[]) => {
  const values = lines
    .filter((each) => each === 'data' || each.startsWith('data:'))
    .map((each) => each.slice(5).replace(/^ /, ''))
  return values.length > 0 ? values.join('\n') : undefined
}

describe('an event stream', () => {
  it('is read alike however it is cut, and no byte is lost', () => {
    fc.assert(
      fc.property(stream, fc.array(fc.nat()), ({ text, events }, places) => {
        const bytes = Buffer.from(text)
        const found = read(cut(bytes, places))
        expect(Buffer.concat(found.map(({ raw }) => raw)).toString()).toBe(text)
        expect(found.map(({ data }) => data).filter((data) => data !== undefined)).toEqual(
          events.map(dataOf).filter((data) => data !== undefined),
        )
      }),
      { numRuns: 300 },
    )
  })
  it('in plain chunks is read the quick way to the very same data', () => {
    fc.assert(
      fc.property(stream, ({ text }) => {
        const quick = plainEvents(Buffer.from(text))
        const data = read([Buffer.from(text)]).map((event) => event.data)
        if (quick) expect(quick).toEqual(data)
      }),
      { numRuns: 300 },
    )
    expect(plainEvents(Buffer.from('data: a\n\ndata: h\u00e9\n\n'))).toEqual(['a', 'h\u00e9'])
    for (const odd of [
      'data: a\n\n\n',
      'data: a\r\n\r\n',
      ': c\n\n',
      'data: a\ndata: b\n\n',
      'data: a\n',
      '\n\n',
      'data:a\n\n',
    ])
      expect(plainEvents(Buffer.from(odd))).toBeUndefined()
  })
  it('with its last event unfinished still gives it', () => {
    expect(read([Buffer.from('data: a\n\ndata: b')]).map(({ data }) => data)).toEqual(['a', 'b'])
  })
  it('that is not UTF-8 says so behind its good events', () => {
    const events = new SseCutter(100).push(
      Buffer.concat([Buffer.from('data: a\n\ndata: '), Buffer.from([0xff]), Buffer.from('\n\ndata: b\n\n')]),
    )
    expect([events.length, events.at(-1)]).toEqual([2, 'not_utf8'])
  })
  it('with an endless event is stopped at the bound', () => {
    const cutter = new SseCutter(1_000)
    const chunk = Buffer.from('x'.repeat(100))
    const results = Array.from({ length: 11 }, () => cutter.push(chunk))
    expect(results.at(-1)).toEqual(['event_too_large'])
    expect(results.slice(0, 10).flat()).toEqual([])
  })
  it('is whole again when it came in single bytes, however long it is', () => {
    const cutter = new SseCutter(4_000_000)
    const bytes = Buffer.from(`data: ${'x'.repeat(400_000)}\n\n`)
    let events = 0
    for (let at = 0; at < bytes.length; at++) events += cutter.push(bytes.subarray(at, at + 1)).length
    expect(events).toBe(1)
  })
})
