import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatAmount, parseAmount, unitPrice } from './money.ts'

describe('an amount', () => {
  it('survives being written and read', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }),
        (amount) => parseAmount(formatAmount(amount)) === amount,
      ),
    )
  })
  it('is refused rather than rounded', () => {
    expect(parseAmount('0.0000000000001')).toBeUndefined()
    for (const text of ['', '.5', '1.', '1e3', 'NaN', ' 1', '1,5', '+1', '0x1'])
      expect(parseAmount(text)).toBeUndefined()
  })
  it('keeps a published price exact per token', () => {
    expect(unitPrice(parseAmount('0.0375')!, 1_000_000)).toBe(37_500n)
    expect(formatAmount(unitPrice(parseAmount('0.0375')!, 1_000_000)! * 3n)).toBe('0.0000001125')
  })
  it('with an exchange rate is exact or nothing', () => {
    expect(unitPrice(parseAmount('2')!, 1_000_000, parseAmount('0.92')!)).toBe(1_840_000n)
    expect(unitPrice(parseAmount('1')!, 3)).toBeUndefined()
  })
})
