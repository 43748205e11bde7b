import { describe, expect, it } from 'vitest'
import type { Meter } from '../../schema/config/index.ts'
import type { AdmittedRequest } from '../codecs/codec.ts'
import type { RateCard } from '../snapshot/running.ts'
import { byCost } from './by-cost.ts'
import type { Candidate } from './target.ts'

interface Priced {
  /** 10⁻¹² a token; null = no price at all. */
  prices: { input: bigint; output: bigint } | null
  inputBound?: number
  outputBound?: number | null
}

function candidate(key: string, { prices, inputBound = 400, outputBound = null }: Priced): Candidate {
  const rates = new Map<Meter, bigint>(
    prices ? [['INPUT_TOKENS', prices.input] as const, ['OUTPUT_TOKENS', prices.output] as const] : [],
  )
  const card: RateCard = { sheet: key, effectiveFromMs: 0, standard: { rates, steps: [] }, tiers: new Map() }
  const ceiling = () => ({ inputTokens: inputBound, outputTokens: outputBound })
  const model = { id: key, rateHistory: prices ? [card] : [], ceilingHistory: [] }
  return { key, wire: { ceiling }, declared: { model } } as unknown as Candidate
}

const order = (candidates: Candidate[], session: string | null = null) => {
  const { candidates: ordered, choice } = byCost(candidates, {} as AdmittedRequest, session, 1)
  return { keys: ordered.map(({ key }) => key), choice }
}

describe('the cheapest target', () => {
  it('comes first by what the request is expected to cost, and says so', () => {
    const dear = candidate('dear', { prices: { input: 10n ** 6n, output: 10n ** 6n } })
    const cheap = candidate('cheap', { prices: { input: 10n ** 5n, output: 10n ** 5n } })
    // 400 bytes are about 100 tokens, and 500 of output are expected.
    expect(order([dear, cheap])).toEqual({ keys: ['cheap', 'dear'], choice: 'least_cost 0.00006' })
  })

  it('is not the one that merely bounds its answers higher or its input lower', () => {
    const prices = { input: 10n, output: 10n }
    const wide = candidate('wide', { prices, inputBound: 400, outputBound: 100_000 })
    const narrow = candidate('narrow', { prices, inputBound: 480, outputBound: 4_000 })
    expect(order([wide, narrow]).keys).toEqual(['wide', 'narrow'])
    expect(order([narrow, wide]).keys).toEqual(['narrow', 'wide'])
  })

  it('has a price: what has none comes last, in its declared order', () => {
    const names = ['none', 'some', 'nothing']
    const prices = { input: 9n ** 9n, output: 9n ** 9n }
    expect(order(names.map((key) => candidate(key, { prices: key === 'some' ? prices : null }))).keys).toEqual([
      'some',
      'none',
      'nothing',
    ])
  })

  it('is the session’s own among those of one price, and never a dearer one', () => {
    const cheap = { input: 1n, output: 1n }
    const all = [
      candidate('dear', { prices: { input: 2n, output: 2n } }),
      ...['a', 'b'].map((key) => candidate(key, { prices: cheap })),
    ]
    const firsts = Array.from({ length: 100 }, (_, at) => order(all, `session-${at}`).keys[0])
    expect(new Set(firsts)).toEqual(new Set(['a', 'b']))
    expect(Array.from({ length: 100 }, (_, at) => order(all.toReversed(), `session-${at}`).keys[0])).toEqual(firsts)
    expect(order(all, 'session-1').choice).toMatch(/ sticky$/)
  })
})
