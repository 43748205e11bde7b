import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Meter } from '../schema/config/index.ts'
import { parseAmount } from '../schema/money.ts'
import { ceilingCost, price, priceCeiling } from './pricing.ts'
import type { Reading } from './reading.ts'
import type { RateCard } from './snapshot/running.ts'

const card = (
  rates: [Meter, bigint][],
  steps: { aboveInputTokens: number; rates: [Meter, bigint][] }[] = [],
): RateCard => ({
  sheet: 'prs_1',
  effectiveFromMs: 0,
  standard: { rates: new Map(rates), steps: steps.map((step) => ({ ...step, rates: new Map(step.rates) })) },
  tiers: new Map(),
})
const reading = (meter: Meter, quantity: number): Reading => ({ meter, quantity, source: 'REPORTED' })
const tokens = fc.integer({ min: 0, max: 10_000_000 })
const rate = fc.bigInt({ min: 0n, max: 10n ** 9n })

describe('a price', () => {
  it('is the exact sum of its meters', () => {
    fc.assert(
      fc.property(tokens, tokens, rate, rate, (input, output, inputRate, outputRate) => {
        const { cost, meters } = price(
          card([
            ['INPUT_TOKENS', inputRate],
            ['OUTPUT_TOKENS', outputRate],
          ]),
          [reading('INPUT_TOKENS', input), reading('OUTPUT_TOKENS', output)],
        )
        expect(cost).toBe(inputRate * BigInt(input) + outputRate * BigInt(output))
        expect(meters.reduce((sum, meter) => sum + parseAmount(meter.cost)!, 0n)).toBe(cost)
      }),
    )
  })
  it('charges a meter without a line as the plainer one it is a kind of', () => {
    const plain = card([
      ['INPUT_TOKENS', 2n],
      ['OUTPUT_TOKENS', 5n],
    ])
    expect(price(plain, [reading('CACHED_INPUT_TOKENS', 10), reading('REASONING_TOKENS', 10)]).cost).toBe(70n)
    expect(
      price(
        card([
          ['INPUT_TOKENS', 2n],
          ['CACHED_INPUT_TOKENS', 1n],
        ]),
        [reading('CACHED_INPUT_TOKENS', 10)],
      ).cost,
    ).toBe(10n)
  })
  it('takes the long-context rates for the whole request once the input is above the step', () => {
    const stepped = card([['INPUT_TOKENS', 1n]], [{ aboveInputTokens: 1_000, rates: [['INPUT_TOKENS', 3n]] }])
    expect(price(stepped, [reading('INPUT_TOKENS', 1_000)]).cost).toBe(1_000n)
    expect(price(stepped, [reading('INPUT_TOKENS', 1_001)]).cost).toBe(3_003n)
    expect(price(stepped, [reading('INPUT_TOKENS', 600), reading('CACHED_INPUT_TOKENS', 600)]).cost).toBe(3_600n)
  })
  it('never exceeds the ceiling for what stays within it', () => {
    fc.assert(
      fc.property(
        tokens,
        tokens,
        fc.array(rate, { minLength: 4, maxLength: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (input, output, [a, b, c, d], part) => {
          const prices = card(
            [
              ['INPUT_TOKENS', a!],
              ['OUTPUT_TOKENS', b!],
              ['REASONING_TOKENS', c!],
              ['REQUESTS', 7n],
            ],
            [{ aboveInputTokens: 1_000, rates: [['INPUT_TOKENS', d!]] }],
          )
          const ceiling = { inputTokens: input, outputTokens: output }
          const hidden = Math.floor(output * part)
          const used = [
            reading('INPUT_TOKENS', Math.floor(input * part)),
            reading('OUTPUT_TOKENS', output - hidden),
            reading('REASONING_TOKENS', hidden),
          ]
          expect(price(prices, used).cost <= ceilingCost(prices, ceiling)).toBe(true)
          expect(priceCeiling(prices, ceiling).cost).toBe(ceilingCost(prices, ceiling))
        },
      ),
    )
  })
})
