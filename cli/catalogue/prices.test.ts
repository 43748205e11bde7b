import { calcPrice } from '@pydantic/genai-prices'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { declarations } from '../../schema/config/index.ts'
import { formatAmount, parseAmount, unitPrice } from '../../schema/money.ts'
import { decimalText } from './decimal.ts'
import { catalogueModels, catalogueOf, pricedModel } from './prices.ts'

const now = Date.parse('2026-11-22T00:00:00Z')
const openai = catalogueOf('openai')!
const priced = catalogueModels(openai).flatMap((id) => {
  const model = pricedModel(openai, id, now)
  return 'unpriced' in model ? [] : [model]
})
const lines = priced.flatMap((model) => model.lines)

/** `amount × tokens ÷ per` by hand: integers of the digits as they are written, with no arithmetic of ours. */
function byHand(amount: string, tokens: number, per: number): string {
  const [whole, fraction = ''] = amount.split('.')
  const digits = BigInt(whole! + fraction) * BigInt(tokens)
  const scale = fraction.length + String(per).length - 1
  const text = digits.toString().padStart(scale + 1, '0')
  return scale === 0 ? text : `${text.slice(0, -scale)}.${text.slice(-scale)}`.replace(/\.?0+$/, '')
}

describe('prices from the catalogue', () => {
  it('know the models of today', () => {
    expect(priced.length).toBeGreaterThan(30)
    expect(priced.map(({ id }) => id)).toContain('gpt-4o-2024-08-06')
  })

  it('are exact: a price times any number of tokens is what decimal arithmetic says, to the last digit', () => {
    fc.assert(
      fc.property(fc.constantFrom(...lines), fc.integer({ min: 0, max: 2_000_000_000 }), ({ amount, per }, tokens) => {
        const unit = unitPrice(parseAmount(amount)!, per)
        expect(unit).toBeDefined()
        expect(formatAmount(unit! * BigInt(tokens))).toBe(byHand(amount, tokens, per))
      }),
      { numRuns: 2_000 },
    )
  })

  it('are the digits that the catalogue was written with, whatever the size of the number', () => {
    expect([0.0375, 0.15, 1e-7, 2.5e-6, 1.25e21, 30, 0, 0.1].map(decimalText)).toEqual([
      '0.0375',
      '0.15',
      '0.0000001',
      '0.0000025',
      '1250000000000000000000',
      '30',
      '0',
      '0.1',
    ])
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 ** 9 }), fc.integer({ min: 0, max: 9 }), (digits, scale) => {
        const written = formatAmount(BigInt(digits) * 10n ** BigInt(12 - scale))
        expect(decimalText(Number(written))).toBe(written)
      }),
    )
    expect(() => decimalText(Number.NaN)).toThrow(RangeError)
  })

  it('agree with what the catalogue itself would charge, also above the step of long contexts', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...priced),
        fc.integer({ min: 1, max: 900_000 }),
        fc.integer({ min: 0, max: 100_000 }),
        (model, input, output) => {
          const theirs = calcPrice({ input_tokens: input, output_tokens: output }, model.id, {
            provider: openai,
            timestamp: new Date(now),
          })!
          const rate = (meter: string) => {
            const own = model.lines.filter((line) => line.meter === meter && (line.aboveInputTokens ?? -1) < input)
            if (own.length === 0) return 0n
            const line = own.reduce((best, one) =>
              (one.aboveInputTokens ?? -1) > (best.aboveInputTokens ?? -1) ? one : best,
            )
            return unitPrice(parseAmount(line.amount)!, line.per)!
          }
          const ours = rate('INPUT_TOKENS') * BigInt(input) + rate('OUTPUT_TOKENS') * BigInt(output)
          expect(Number(formatAmount(ours))).toBeCloseTo(theirs.total_price, 9)
        },
      ),
    )
  })

  it('fit a price sheet', () => {
    const sheet = {
      lines: priced.flatMap(({ id, lines: own }) => own.map((line) => ({ model: `model/${id}`, ...line }))),
    }
    const spec = declarations.priceSheet.spec.parse(sheet)
    expect(declarations.priceSheet.rules!(spec)).toEqual([])
  })

  it('are those of the day that is asked for', () => {
    const o3 = (at: string) => {
      const found = pricedModel(openai, 'o3', Date.parse(at))
      return 'lines' in found && found.lines.find(({ meter }) => meter === 'INPUT_TOKENS')!.amount
    }
    expect([o3('2025-05-01'), o3('2026-01-01')]).toEqual(['10', '2'])
  })

  it('are not made up: what is unknown, draws or changes by the hour has none', () => {
    const why = (id: string, provider = openai) => (pricedModel(provider, id, now) as { unpriced: string }).unpriced
    expect(why('no-such-model')).toBe('is not in the catalogue')
    expect(why('gpt-image-1')).toBe('is also charged by input_image_mtok')
    expect(why('moderation')).toBe('has no price per token')
    expect(why('deepseek-chat', catalogueOf('deepseek')!)).toBe('has a price that changes with the hour of the day')
  })
})
