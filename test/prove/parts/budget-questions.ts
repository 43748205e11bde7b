import { parseAmount } from '../../../schema/money.ts'
import { type Chance, chanceOf } from './chance.ts'

/** A model and what a million tokens of it cost; odd on purpose, so that rounding anywhere would show. */
export interface PricedModel {
  name: string
  /** Of one token, at 10⁻¹². */
  input: bigint
  output: bigint
  prices: { input: string; output: string }
}

const modelOf = (name: string, input: string, output: string): PricedModel => {
  const perToken = (price: string) => parseAmount(price)! / 1_000_000n
  return { name, input: perToken(input), output: perToken(output), prices: { input, output } }
}

export const models = [
  modelOf('small', '0.123457', '0.654321'),
  modelOf('middle', '1.500001', '6.250003'),
  modelOf('large', '3.100007', '15.700009'),
]
export const maxOutputTokens = 700

/** Whose key asks; `labelled` requests carry a case. */
export interface Asker {
  key: string
  project: string
  team: string
  labelled: boolean
  /** Of all requests of a wave, in percent. */
  share: number
}

export const askers: Asker[] = [
  { key: 'a1', project: 'alpha', team: 'north', labelled: false, share: 16 },
  { key: 'a2', project: 'alpha', team: 'north', labelled: false, share: 15 },
  { key: 'b1', project: 'beta', team: 'north', labelled: false, share: 15 },
  { key: 'b2', project: 'beta', team: 'north', labelled: false, share: 13 },
  { key: 'c1', project: 'gamma', team: 'south', labelled: true, share: 30 },
  { key: 'c2', project: 'gamma', team: 'south', labelled: false, share: 4 },
  { key: 'd1', project: 'delta', team: 'north', labelled: false, share: 7 },
]
export const cases = ['billing', 'search', 'triage']

/** One request: what is asked, what the provider will use for it, and whether its client stays. */
export interface Question {
  at: number
  asker: Asker
  case: string | null
  model: PricedModel
  streamed: boolean
  maxTokens: number
  text: string
  /** By the provider's count; never more than the request allows. */
  usage: { input: number; output: number }
  takesMs: number
  /** The client leaves after so long; null = it stays. */
  leavesAfterMs: number | null
}

const textOf = (at: number, padding: number) => `This is question ${at}, and no other.${' more'.repeat(padding)}`
export const questionIn = (text: string) => Number(/question (\d+)/.exec(text)![1])

/** So many requests of every kind, from `first` on. */
export function makeQuestions(seed: number, first: number, count: number): Question[] {
  const chance = chanceOf(seed)
  const weighted = askers.flatMap((asker) => Array.from({ length: asker.share }, () => asker))
  return Array.from({ length: count }, (_, index) => makeQuestion(chance, first + index, weighted))
}

function makeQuestion({ between }: Chance, at: number, weighted: Asker[]): Question {
  const pick = <T>(items: readonly T[]) => items[Math.floor(between(0, items.length))]!
  const asker = pick(weighted)
  const maxTokens = Math.floor(between(20, maxOutputTokens))
  const text = textOf(at, Math.floor(between(0, 300)))
  const takesMs = between(60, 1_800)
  return {
    ...{ at, asker, case: asker.labelled ? pick(cases) : null, model: pick(models) },
    ...{ streamed: between(0, 1) < 0.5, maxTokens, text },
    // A fifth uses all that it may; the others anything.
    usage: {
      input: 8 + Math.ceil(text.length / between(3, 6)),
      output: Math.ceil(between(0, 1) < 0.2 ? maxTokens : between(1, maxTokens)),
    },
    ...{ takesMs, leavesAfterMs: between(0, 1) < 0.15 ? between(0, takesMs) : null },
  }
}

/** Sizes of requests that take what is left, each a few times smaller than the one before. */
export const sizes = [
  { model: models[2]!, maxTokens: 700 },
  { model: models[1]!, maxTokens: 450 },
  { model: models[0]!, maxTokens: 700 },
  { model: models[0]!, maxTokens: 120 },
  { model: models[0]!, maxTokens: 20 },
]

/** A request that uses all that it may, for what is left at the end. */
export function fillingQuestion(
  at: number,
  asker: Asker,
  value: string | null,
  size: (typeof sizes)[number],
): Question {
  return {
    ...{ at, asker, case: value, ...size, streamed: at % 2 === 0, text: textOf(at, 0) },
    ...{ usage: { input: 10, output: size.maxTokens }, takesMs: 0, leavesAfterMs: null },
  }
}

/** What it comes to by the provider's count. */
export const costOf = ({ model, usage, maxTokens }: Question) =>
  model.input * BigInt(usage.input) + model.output * BigInt(Math.min(usage.output, maxTokens))

/** Beside the text of a message: its role, and what a model's declaration adds for each message. */
const perMessageTokens = 'user'.length + 16

/** What must be kept for it: a token for each byte, and all the output that it may have. */
export const ceilingOf = ({ model, text, maxTokens }: Question) =>
  model.input * BigInt(text.length + perMessageTokens) + model.output * BigInt(maxTokens)
