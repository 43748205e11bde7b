import { z } from 'zod'
import { decimalText } from '../catalogue/decimal.ts'
import { type InvoiceRow, type Measure, readAmount } from './figures.ts'
import { modelOfLineItem } from './formats/openai.ts'

/** What a page of a provider's usage or cost API says. */
export interface ApiPage {
  name: string
  measures: readonly Measure[]
  platforms: readonly string[]
  rows: InvoiceRow[]
  /** The page is not the last one. */
  hasMore: boolean
}

const count = z.int().min(0).nullish()
const money = z.union([z.string(), z.number()])

const openaiPage = z.object({
  has_more: z.boolean().default(false),
  data: z.array(
    z.object({
      start_time: z.int(),
      results: z.array(
        z.object({
          object: z.string(),
          model: z.string().nullish(),
          input_tokens: count,
          input_cached_tokens: count,
          output_tokens: count,
          line_item: z.string().nullish(),
          amount: z.object({ value: money, currency: z.string() }).nullish(),
        }),
      ),
    }),
  ),
})

const anthropicPage = z.object({
  has_more: z.boolean().default(false),
  data: z.array(
    z.object({
      starting_at: z.string(),
      results: z.array(
        z.object({
          model: z.string().nullish(),
          description: z.string().nullish(),
          uncached_input_tokens: count,
          cache_read_input_tokens: count,
          cache_creation: z.object({ ephemeral_1h_input_tokens: count, ephemeral_5m_input_tokens: count }).nullish(),
          output_tokens: count,
          amount: money.nullish(),
          currency: z.string().nullish(),
        }),
      ),
    }),
  ),
})

type Wrong = { wrong: string; wayOut: string }

/** A page of OpenAI's usage or costs API, or of Anthropic's usage or cost report. */
export function readPage(text: string): ApiPage | Wrong {
  let given: unknown
  try {
    given = JSON.parse(text)
  } catch {
    return { wrong: 'this is neither CSV nor JSON', wayOut: 'give the export as it was downloaded' }
  }
  const openai = openaiPage.safeParse(given)
  if (openai.success && openai.data.data.length > 0) return openaiRows(openai.data)
  const anthropic = anthropicPage.safeParse(given)
  if (anthropic.success && anthropic.data.data.length > 0) return anthropicRows(anthropic.data)
  return {
    wrong: "this JSON is no page with buckets of OpenAI's or Anthropic's usage or cost API",
    wayOut: 'save the whole answer of one call, grouped by model (usage) or line item (costs); or give a CSV',
  }
}

const amountOf = (value: string | number) => readAmount(typeof value === 'number' ? plainNumber(value) : value)
const plainNumber = (value: number) => (value < 0 ? `-${decimalText(-value)}` : decimalText(value))
const big = (value: number | null | undefined) => BigInt(value ?? 0)

/** platform.openai.com/docs/api-reference/usage */
function openaiRows({ data, has_more: hasMore }: z.output<typeof openaiPage>): ApiPage | Wrong {
  const platforms = ['OPENAI', 'OPENAI_COMPATIBLE']
  const results = data.flatMap(({ start_time: start, results: some }) =>
    some.map((one) => ({ at: { ms: start * 1_000 }, one })),
  )
  if (results.some(({ one }) => one.amount)) {
    if (results.some(({ one }) => !one.line_item)) return ungrouped('group_by=line_item')
    const rows = results.map(
      ({ at, one }): InvoiceRow => ({
        at,
        model: modelOfLineItem(one.line_item!),
        figures: { cost: amountOf(one.amount?.value ?? 0) ?? 0n },
        ...(one.amount && { currency: one.amount.currency.toUpperCase() }),
      }),
    )
    return { name: "OpenAI's costs API", measures: ['cost'], platforms, rows, hasMore }
  }
  if (results.some(({ one }) => !one.model)) return ungrouped('group_by=model')
  const rows = results.map(({ at, one }): InvoiceRow => {
    const cached = big(one.input_cached_tokens)
    return {
      at,
      model: one.model!,
      figures: { input: big(one.input_tokens) - cached, cached, output: big(one.output_tokens) },
    }
  })
  return { name: "OpenAI's usage API", measures: ['input', 'cached', 'output'], platforms, rows, hasMore }
}

/** platform.claude.com/docs/en/build-with-claude/usage-cost-api; costs are in cents. */
function anthropicRows({ data, has_more: hasMore }: z.output<typeof anthropicPage>): ApiPage | Wrong {
  const platforms = ['ANTHROPIC']
  const results = data.flatMap(({ starting_at: start, results: some }) => some.map((one) => ({ start, one })))
  if (results.some(({ start }) => Number.isNaN(Date.parse(start))))
    return { wrong: 'a bucket begins at no time', wayOut: 'is the page whole?' }
  const isCost = results.some(({ one }) => one.amount !== null && one.amount !== undefined)
  if (results.some(({ one }) => !one.model && !(isCost && one.description)))
    return ungrouped(isCost ? 'group_by[]=description' : 'group_by[]=model')
  const rows = results.map(({ start, one }): InvoiceRow => {
    const at = { ms: Date.parse(start) }
    const model = one.model ?? one.description!
    if (isCost)
      return { at, model, figures: { cost: (amountOf(one.amount ?? 0) ?? 0n) / 100n }, currency: one.currency ?? 'USD' }
    const writes =
      big(one.cache_creation?.ephemeral_1h_input_tokens) + big(one.cache_creation?.ephemeral_5m_input_tokens)
    const input = big(one.uncached_input_tokens) + writes
    return { at, model, figures: { input, cached: big(one.cache_read_input_tokens), output: big(one.output_tokens) } }
  })
  const measures = isCost ? (['cost'] as const) : (['input', 'cached', 'output'] as const)
  return { name: isCost ? "Anthropic's cost report" : "Anthropic's usage report", measures, platforms, rows, hasMore }
}

const ungrouped = (parameter: string): Wrong => ({
  wrong: 'its figures are not told by model',
  wayOut: `ask the API with ${parameter}`,
})
