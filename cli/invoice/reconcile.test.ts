import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { testIo } from '../test-io.ts'
import { compare, isDifferent } from './compare.ts'
import { measures, noFigures } from './figures.ts'
import { ModelNames } from './names.ts'
import { formatComparison } from './report.ts'

const model = (name: string, upstreamName: string, provider = name.split('/')[0]!) => ({
  ...{ name, upstreamName, provider, platform: 'OPENAI' },
})
const models = [
  model('openai/gpt-4o', 'gpt-4o-2024-08-06'),
  model('openai/gpt-4o-mini', 'gpt-4o-mini'),
  model('anthropic/claude-haiku-4-5', 'claude-haiku-4-5-20251001'),
  model('anthropic/claude-3-5-sonnet', 'claude-3-5-sonnet-20241022'),
  model('bedrock/sonnet', 'us.anthropic.claude-3-sonnet-20240229-v1:0'),
  model('google/flash', 'gemini-2.5-flash'),
  model('google/lite', 'gemini-2.5-flash-lite'),
  model('house/all', 'llama-*'),
]
const names = (told: [string, string][] = []) =>
  new ModelNames(models, new Map([['fast', 'google/lite']]), new Map(told))
const upstream = (name: string, told: [string, string][] = []) => {
  const found = names(told).find(name)
  return found && 'upstreamName' in found ? found.upstreamName : found
}

describe('names on an invoice', () => {
  it('are found by how the API, a price list or a person writes them', () => {
    for (const [written, meant] of [
      ['gpt-4o-2024-08-06', 'gpt-4o-2024-08-06'],
      ['gpt 4o 0806', 'gpt-4o-2024-08-06'],
      ['gpt-4o', 'gpt-4o-2024-08-06'],
      ['gpt 4o mini0718', 'gpt-4o-mini'],
      ['Claude Haiku 4.5', 'claude-haiku-4-5-20251001'],
      ['Claude 3.5 Sonnet', 'claude-3-5-sonnet-20241022'],
      ['Claude3Sonnet', 'us.anthropic.claude-3-sonnet-20240229-v1:0'],
      ['Gemini 2.5 Flash', 'gemini-2.5-flash'],
      ['Gemini 2.5 Flash Lite', 'gemini-2.5-flash-lite'],
      ['fast', 'gemini-2.5-flash-lite'],
      ['llama-3.3-70b', 'llama-*'],
    ] as const)
      expect([written, upstream(written)]).toEqual([written, meant])
  })

  it('are nothing where nothing fits, and what is told goes first', () => {
    expect(upstream('gpt-5')).toBeUndefined()
    expect(upstream('Claude Sonnet 4.5')).toBeUndefined()
    expect(upstream('gpt-5', [['gpt-5', 'openai/gpt-4o']])).toBe('gpt-4o-2024-08-06')
  })

  it('that two providers have are not guessed', () => {
    const two = new ModelNames([...models, model('azure/gpt-4o', 'gpt-4o-2024-08-06')], new Map(), new Map())
    expect(two.find('gpt-4o-2024-08-06')).toEqual({ ambiguous: ['openai/gpt-4o', 'azure/gpt-4o'] })
  })
})

const unit = 10n ** 12n
const side = (day: string, cost: bigint, input = 0n) => ({
  ...{ day, model: 'openai/gpt-4o', figures: { ...noFigures(), cost, input } },
})
const none = { share: 0n, amount: 0n }

describe('two sides of a bill', () => {
  it('sum up to what each of them said, and differ by exactly the difference of the sums', () => {
    const figures = fc.record({ cost: fc.bigInt(0n, 10n ** 20n), input: fc.bigInt(0n, 10n ** 9n) })
    const one = fc.array(fc.tuple(fc.constantFrom('2026-01-01', '2026-01-02'), fc.constantFrom('a', 'b'), figures))
    fc.assert(
      fc.property(one, one, (left, right) => {
        const sides = [left, right].map((some) =>
          some.map(([day, name, given]) => ({ day, model: name, figures: { ...noFigures(), ...given } })),
        )
        const { lines, invoice, records } = compare(sides[0]!, sides[1]!, measures, none)
        for (const measure of measures) {
          const sum = (of: 'invoice' | 'records') =>
            lines.reduce((total, line) => total + (line[of]?.[measure] ?? 0n), 0n)
          expect([sum('invoice'), sum('records')]).toEqual([invoice[measure], records[measure]])
        }
        const same = sides[0]!.length === 0 && sides[1]!.length === 0
        if (same) expect(lines).toEqual([])
      }),
    )
  })

  it('may be apart by a share or an amount, and not by more', () => {
    const verdict = (invoice: bigint, records: bigint, tolerance = { share: 5_000n, amount: unit / 100n }) =>
      compare([side('2026-01-01', invoice)], [side('2026-01-01', records)], ['cost'], tolerance).lines[0]!.verdict
    expect(verdict(unit, unit)).toBe('SAME')
    expect(verdict(200n * unit, 201n * unit)).toBe('TOLERATED')
    expect(verdict(200n * unit, 201n * unit + 1n)).toBe('DIFFERENT')
    expect(verdict(unit, unit - unit / 100n)).toBe('TOLERATED')
    expect(verdict(unit, unit + 1n, none)).toBe('DIFFERENT')
  })

  it('name what is on one of them alone, however small', () => {
    const { lines } = compare([side('2026-01-01', 1n)], [side('2026-01-02', 1n)], ['cost'], none)
    expect(lines.map(({ verdict }) => verdict)).toEqual(['ONLY_INVOICE', 'ONLY_RECORDS'])
    expect(lines.every(isDifferent)).toBe(true)
  })

  it('are shown line by line with the sums below', () => {
    const measured = ['cost', 'input'] as const
    const comparison = compare(
      [side('2026-01-01', 2n * unit, 1_000n), side('2026-01-02', unit, 5n)],
      [side('2026-01-01', unit, 900n), side('2026-01-02', unit, 5n)],
      measured,
      none,
    )
    const table = formatComparison(
      {
        invoice: { format: 'a plain table', measures: measured } as never,
        matched: { sides: [], unknown: [], providers: ['openai'] },
        recorded: { lines: [], settledThrough: '', pending: [] },
        comparison,
        currency: 'USD',
        window: { first: '2026-01-01', last: '2026-01-02', timeZone: 'UTC' },
      },
      false,
      testIo(),
    )
    expect(table).toBe(
      [
        'a plain table, openai, 2026-01-01 to 2026-01-02 (UTC)',
        'DAY         MODEL          INVOICE  RECORDS  DIFFERENCE             INPUT TOKENS',
        `2026-01-01  openai/gpt-4o     2.00     1.00       +1.00  (+50.0 %)          +100  different  ${'█'.repeat(16)}`,
        'invoice 3.00, records 2.00, +1.00 (+33.3 %) USD',
        '1 of 2 lines differ.',
        '',
      ].join('\n'),
    )
  })
})
