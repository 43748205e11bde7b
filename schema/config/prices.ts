import { declaredMax, formatAmount, moneyScale, parseAmount, unitPrice } from '../money.ts'
import { declare } from './declaration.ts'
import { currency, dateTime, decimal, input, list, money, oneOf, ref, safeInt, text, z } from './fields.ts'

/** What is counted. Disjoint: a cached token is not also an input token, a reasoning token not also an output token. */
export const meters = [
  'INPUT_TOKENS',
  'CACHED_INPUT_TOKENS',
  'CACHE_WRITE_TOKENS',
  'CACHE_WRITE_1H_TOKENS',
  'OUTPUT_TOKENS',
  'REASONING_TOKENS',
  'AUDIO_INPUT_TOKENS',
  'CACHED_AUDIO_INPUT_TOKENS',
  'AUDIO_OUTPUT_TOKENS',
  'IMAGES',
  'AUDIO_SECONDS',
  'SERVER_TOOL_CALLS',
  'REQUESTS',
] as const
export type Meter = (typeof meters)[number]

const one = 10n ** BigInt(moneyScale)
/** 10⁶ for one token or request: the most that a request may cost then fits every message that tells of it. */
const unitPriceMax = 10n ** 6n * one

const price = input('PriceInput', {
  model: ref('model'),
  meter: oneOf('Meter', meters),
  amount: decimal(),
  per: safeInt(1, 1_000_000_000_000),
  aboveInputTokens: safeInt(1).nullable().default(null),
  serviceTier: text(100).nullable().default(null),
})

export const priceSheet = declare({
  kind: 'priceSheet',
  description: 'What models cost from a date on. The latest sheet that names a model holds for it, whole.',
  spec: z.strictObject({
    currency: currency().default('USD'),
    exchangeRate: decimal().nullable().default(null),
    effectiveFrom: dateTime().default('1970-01-01T00:00:00.000Z'),
    source: text(500).nullable().default(null),
    unpricedCeiling: money().nullable().default(null),
    lines: list(price, 20_000).default([]),
  }),
  rules: (spec) => {
    const rate = parseAmount(spec.exchangeRate ?? '1')!
    if (rate <= 0n) return [{ path: ['exchangeRate'], message: 'must be above 0' }]
    const ceiling = parseAmount(spec.unpricedCeiling?.amount ?? '0')!
    if (ceiling < 0n || (ceiling * rate) / one > declaredMax)
      return [{ path: ['unpricedCeiling', 'amount'], message: 'must be from 0 to 10¹⁵' }]
    const seen = new Set<string>()
    return spec.lines.flatMap((line, index) => {
      const path = ['lines', index]
      const amount = parseAmount(line.amount)!
      if (amount < 0n) return [{ path: [...path, 'amount'], message: 'must not be negative' }]
      const each = unitPrice(amount, line.per, rate)
      if (each !== undefined && each > unitPriceMax)
        return [{ path: [...path, 'amount'], message: 'is more than 10⁶ for one; is `per` missing?' }]
      if (each === undefined)
        return [
          {
            path: [...path, 'amount'],
            message: `${formatAmount(amount)} per ${line.per} is not exact at 12 decimals; give a coarser amount or rate`,
          },
        ]
      const key = JSON.stringify([line.model, line.meter, line.aboveInputTokens, line.serviceTier])
      if (seen.has(key)) return [{ path, message: 'prices the same meter of the same model twice' }]
      seen.add(key)
      return []
    })
  },
})
