import type { Columns } from '../columns.ts'
import type { CsvFormat, Recognise } from '../formats.ts'
import { figuresOf, isWrong, readWhen } from './reading.ts'

const platforms = ['OPENAI', 'OPENAI_COMPATIBLE']

/**
 * The usage page's export, minute or day buckets: platform.openai.com/docs/api-reference/usage names its fields. Cached tokens are
 * within `input_tokens`. An empty bucket has times alone.
 */
export const openaiUsage: Recognise = (columns) => {
  if (!columns.has('start_time', 'model', 'input_tokens', 'output_tokens')) return undefined
  return {
    name: "OpenAI's usage",
    measures: ['input', 'cached', 'output'],
    platforms,
    timeZone: 'UTC',
    row: usageRow(columns),
  }
}

const usageRow =
  (columns: Columns): CsvFormat['row'] =>
  (cells) => {
    const figures = figuresOf(columns, cells, {
      input: { title: 'input_tokens' },
      cached: { title: 'input_cached_tokens' },
      output: { title: 'output_tokens' },
    })
    if (isWrong(figures)) return figures
    if (figures.input === undefined && figures.output === undefined) return { skipped: 'empty buckets' }
    const model = columns.cell(cells, 'model')
    if (model === '') return { wrong: 'there is no model', wayOut: 'export the usage grouped by model' }
    const at = readWhen('start_time', columns.cell(cells, 'start_time'))
    if (isWrong(at)) return at
    return { at, model, figures: { ...figures, input: (figures.input ?? 0n) - (figures.cached ?? 0n) } }
  }

/** The costs page's export, by line item: `gpt-4o-2024-08-06, input`. */
export const openaiCosts: Recognise = (columns) => {
  if (!columns.has('start_time', 'amount_value', 'line_item')) return undefined
  return { name: "OpenAI's costs", measures: ['cost'], platforms, timeZone: 'UTC', row: costRow(columns) }
}

const costRow =
  (columns: Columns): CsvFormat['row'] =>
  (cells) => {
    const figures = figuresOf(columns, cells, { cost: { title: 'amount_value' } })
    if (isWrong(figures)) return figures
    if (figures.cost === undefined) return { skipped: 'empty buckets' }
    const item = columns.cell(cells, 'line_item')
    if (item === '') return { wrong: 'there is no line item', wayOut: 'export the costs grouped by line item' }
    const at = readWhen('start_time', columns.cell(cells, 'start_time'))
    if (isWrong(at)) return at
    const currency = columns.cell(cells, columns.first('amount_currency', 'currency') ?? '').toUpperCase()
    return { at, model: modelOfLineItem(item), figures, ...(currency && { currency }) }
  }

/** What stands before the kind of tokens; other items (`web search tool calls`) are their own name. */
export const modelOfLineItem = (item: string): string => item.split(',', 1)[0]!.trim()
