import { moneyScale, parseAmount } from '../../schema/money.ts'

/** What a provider bills by. Tokens as the records count them: cached input is not also input, cache writes are input. */
export interface Figures {
  input: bigint
  cached: bigint
  output: bigint
  /** At 10⁻¹² of the currency. */
  cost: bigint
}
export type Measure = keyof Figures
export const measures = ['cost', 'input', 'cached', 'output'] as const satisfies readonly Measure[]

/** One row of an export: when, which model by the provider's own name, and the figures that this row tells. */
export interface InvoiceRow {
  at: { day: string } | { ms: number }
  model: string
  figures: Partial<Figures>
  /** ISO 4217, where the row names one. */
  currency?: string
}

export const noFigures = (): Figures => ({ input: 0n, cached: 0n, output: 0n, cost: 0n })

export function addFigures(to: Figures, more: Partial<Figures>): void {
  for (const measure of measures) to[measure] += more[measure] ?? 0n
}

/**
 * An amount as exports write it: `$1,234.50`, `1.2E-7`, `0.06000000000000001`, `(3.10)`. At 10⁻¹², rounded half up: spreadsheets
 * and JSON carry more digits than money has. Undefined where it is none.
 */
export function readAmount(text: string): bigint | undefined {
  const bare = text
    .trim()
    .replace(/^\((.*)\)$/, '-$1')
    .replace(/[\s$€£¥]/g, '')
  const match = /^([+-]?)([1-9]\d{0,2}(?:,\d{3})+|\d+|(?=\.\d))(?:\.(\d*))?(?:[eE]([+-]?\d{1,3}))?$/.exec(bare)
  if (!match) return undefined
  const [, sign, wholeText = '', fraction = '', exponent = '0'] = match
  const whole = wholeText.replaceAll(',', '')
  const shift = moneyScale + Number(exponent) - fraction.length
  const digits = BigInt(`${whole}${fraction}` || '0')
  const value = shift >= 0 ? digits * 10n ** BigInt(shift) : rounded(digits, 10n ** BigInt(-shift))
  return sign === '-' ? -value : value
}

const rounded = (value: bigint, unit: bigint) => (value + unit / 2n) / unit

const one = parseAmount('1')!

/** A count, of units that hold `size` tokens each; undefined where it is none. */
export function readCount(text: string, size = 1): bigint | undefined {
  const amount = readAmount(text)
  if (amount === undefined) return undefined
  const scaled = amount * BigInt(size)
  return scaled < 0n ? -rounded(-scaled, one) : rounded(scaled, one)
}
