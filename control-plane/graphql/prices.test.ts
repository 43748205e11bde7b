import { describe, expect, it } from 'vitest'
import type { Resource } from '../../schema/config/index.ts'
import { pricesAt } from './prices.ts'

const at = (day: number) => Date.UTC(2026, 10, day)

const sheet = (id: string, fromDay: number, ...models: string[]) =>
  ({
    id,
    spec: {
      effectiveFrom: new Date(at(fromDay)).toISOString(),
      lines: models.map((model) => ({ model, meter: 'INPUT_TOKENS', amount: id, per: 1_000_000 })),
    },
  }) as unknown as Resource<'priceSheet'>

describe('the prices of a model', () => {
  const sheets = [sheet('a', 1, 'm', 'n'), sheet('b', 10, 'm'), sheet('c', 20, 'm'), sheet('d', 10, 'm')]
  const amounts = (model: string, day: number) => pricesAt(sheets, model, at(day)).map(({ amount }) => amount)

  it('are those of the latest sheet in force that names it', () => {
    expect(amounts('m', 5)).toEqual(['a'])
    expect(amounts('m', 25)).toEqual(['c'])
    expect(amounts('n', 25)).toEqual(['a'])
  })

  it('of two sheets from one moment, are those of the one declared last', () => expect(amounts('m', 15)).toEqual(['d']))

  it('are none before any sheet holds, or where none names it', () => {
    expect(amounts('m', 0)).toEqual([])
    expect(amounts('x', 25)).toEqual([])
  })
})
