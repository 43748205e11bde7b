import { describe, expect, it } from 'vitest'
import { parseAmount } from '../../schema/money.ts'
import { formatCount, formatMoney, roundMoney, splitAmount } from './format.ts'

const amount = (text: string) => parseAmount(text)!

describe('figures on the page', () => {
  it('shows six decimals of the total, rounded half up', () => {
    expect(splitAmount(amount('12.3456785'))).toEqual({ whole: '12.34', fine: '5679' })
    expect(splitAmount(amount('0.0000004'))).toEqual({ whole: '0.00', fine: '0000' })
    expect(splitAmount(amount('-1234567.5'))).toEqual({ whole: '−1\u202f234\u202f567.50', fine: '0000' })
  })

  it('drops the fine decimals where they say nothing', () => {
    expect(formatMoney(amount('0.000037'))).toBe('0.000037')
    expect(formatMoney(amount('100.123456'))).toBe('100.12')
  })

  it('rounds to cents where sums are compared with limits, and never to nothing', () => {
    expect(['12.345', '0.999', '0.004', '0', '-0.305'].map((text) => roundMoney(amount(text)))).toEqual([
      '12.35',
      '1.00',
      '0.004000',
      '0.00',
      '−0.31',
    ])
  })

  it('counts exactly below a million', () => {
    expect(formatCount(999_999)).toBe('999\u202f999')
    expect(formatCount(1_234_567)).toBe('1.235 M')
  })
})
