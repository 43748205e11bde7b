import { formatAmount } from '../../schema/money.ts'
import { builder } from './builder.ts'

export interface MoneyShape {
  amount: string
  currency: string
}

/** An amount as it is answered, from 10⁻¹² of the currency. */
export const money = (amount: bigint, currency: string): MoneyShape => ({ amount: formatAmount(amount), currency })

export const Money = builder.objectRef<MoneyShape>('Money').implement({
  description: 'An exact amount in one currency.',
  fields: (t) => ({
    amount: t.expose('amount', { type: 'Decimal' }),
    currency: t.expose('currency', { type: 'Currency' }),
  }),
})

export const TimeWindow = builder.objectRef<{ from: Date; to: Date }>('TimeWindow').implement({
  fields: (t) => ({ from: t.expose('from', { type: 'DateTime' }), to: t.expose('to', { type: 'DateTime' }) }),
})
