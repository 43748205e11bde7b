import type { Columns } from '../columns.ts'
import type { CsvFormat, Recognise } from '../formats.ts'
import { figuresOf, isWrong, readWhen } from './reading.ts'

const platforms = ['ANTHROPIC']

/** The console's usage export: a row for each day, model, key and context window. */
export const anthropicUsage: Recognise = (columns) => {
  const name = columns.first('model_version', 'model')
  if (!name || !columns.has('usage_date_utc', 'usage_input_tokens_no_cache', 'usage_output_tokens')) return undefined
  const writes = [
    'usage_input_tokens_cache_write_5m',
    'usage_input_tokens_cache_write_1h',
    'usage_input_tokens_cache_write',
  ]
  return {
    name: "Anthropic's usage",
    measures: ['input', 'cached', 'output'],
    platforms,
    timeZone: 'UTC',
    row: (cells) => {
      const figures = figuresOf(columns, cells, {
        input: { title: 'usage_input_tokens_no_cache' },
        cached: { title: 'usage_input_tokens_cache_read' },
        output: { title: 'usage_output_tokens' },
      })
      if (isWrong(figures)) return figures
      let input = figures.input ?? 0n
      for (const title of writes.filter((one) => columns.has(one))) {
        const more = figuresOf(columns, cells, { input: { title } })
        if (isWrong(more)) return more
        input += more.input ?? 0n
      }
      return dated(columns, cells, columns.cell(cells, name), { ...figures, input })
    },
  }
}

/** The console's cost export: a row for each day, model and kind of tokens, in dollars. */
export const anthropicCosts: Recognise = (columns) => {
  if (!columns.has('usage_date_utc', 'model', 'cost_usd')) return undefined
  return {
    name: "Anthropic's cost",
    measures: ['cost'],
    platforms,
    timeZone: 'UTC',
    row: (cells) => {
      const figures = figuresOf(columns, cells, { cost: { title: 'cost_usd' } })
      if (isWrong(figures)) return figures
      const row = dated(columns, cells, columns.cell(cells, 'model'), figures)
      return 'at' in row ? { ...row, currency: 'USD' } : row
    },
  }
}

function dated(
  columns: Columns,
  cells: readonly string[],
  model: string,
  figures: Extract<ReturnType<CsvFormat['row']>, { figures: unknown }>['figures'],
): ReturnType<CsvFormat['row']> {
  const at = readWhen('usage_date_utc', columns.cell(cells, 'usage_date_utc'))
  if (isWrong(at)) return at
  return { at, model: model || 'without a model', figures }
}
