import type { Columns } from '../columns.ts'
import { type Measure, readCount } from '../figures.ts'
import type { CsvFormat, ReadRow, Recognise } from '../formats.ts'
import { figuresOf, isWrong, noNumber, readWhen } from './reading.ts'

/**
 * Cost and Usage Reports, with the column names of 1 (`lineItem/UsageType`) or 2.0 (`line_item_usage_type`): one line for each kind of
 * tokens, as docs.aws.amazon.com/bedrock/latest/userguide/cost-mgmt-understanding-cur-data.html has them.
 */
export const awsBedrock: Recognise = (columns) => {
  if (!columns.has('line_item_usage_start_date', 'line_item_usage_type', 'line_item_unblended_cost')) return undefined
  return {
    name: "AWS's cost and usage report",
    measures: ['cost', 'input', 'cached', 'output'],
    platforms: ['AWS_BEDROCK'],
    timeZone: 'UTC',
    row: rowOf(columns),
  }
}

/** Of the rest (tax, credits, refunds, fees) no request tells. */
const usageKinds = new Set(['', 'Usage', 'DiscountedUsage', 'SavingsPlanCoveredUsage'])

const rowOf =
  (columns: Columns): CsvFormat['row'] =>
  (cells) => {
    const cell = (title: string) => columns.cell(cells, title)
    const product = columns.first('product_product_name', 'product_servicename') ?? ''
    const names = `${cell('line_item_product_code')} ${cell(product)} ${cell('line_item_line_item_description')}`
    if (!/bedrock/i.test(names)) return { skipped: 'lines of other services' }
    if (!usageKinds.has(cell('line_item_line_item_type')))
      return { skipped: 'lines that are no usage (tax, credits, refunds)' }
    return usageOf(columns, cells, cell(product))
  }

function usageOf(columns: Columns, cells: readonly string[], product: string): ReadRow {
  const cell = (title: string) => columns.cell(cells, title)
  const at = readWhen('line_item_usage_start_date', cell('line_item_usage_start_date'))
  if (isWrong(at)) return at
  const figures = figuresOf(columns, cells, { cost: { title: 'line_item_unblended_cost' } })
  if (isWrong(figures)) return figures
  const { model, measure, unit } = meaningOf(cell('line_item_usage_type'), product)
  const amount = cell('line_item_usage_amount')
  const tokens = measure && amount ? readCount(amount, unitOf(cell('pricing_unit')) ?? unit) : undefined
  if (measure && amount && tokens === undefined) return noNumber('line_item_usage_amount', amount)
  const currency = cell('line_item_currency_code')
  return {
    at,
    model,
    figures: { ...figures, ...(measure && { [measure]: tokens ?? 0n }) },
    ...(currency && { currency }),
  }
}

const plain =
  /^(?:[A-Z]{2,4}\d?-)?(.+?)-(?:mantle-)?(cache-read-input-token-count|cache-write-input-token-count|input-tokens?|output-tokens?)/i
const marketplace = /MP:\w*?(CacheRead|CacheWrite|Input|Output)\w*Token/i

/** `USE1-Claude3Sonnet-input-tokens`; models sold through the marketplace name themselves in the product. */
function meaningOf(usageType: string, product: string): { model: string; measure?: Measure; unit: number } {
  const [, kind] = marketplace.exec(usageType) ?? []
  if (kind)
    return { model: product.replace(/ *\(Amazon Bedrock Edition\)/i, ''), measure: measureOf(kind), unit: 1_000_000 }
  const [, model, tokens] = plain.exec(usageType) ?? []
  if (model && tokens) return { model, measure: measureOf(tokens), unit: 1_000 }
  return { model: usageType, unit: 1 }
}

function measureOf(kind: string): Measure {
  if (/cache-?read/i.test(kind)) return 'cached'
  return /output/i.test(kind) ? 'output' : 'input'
}

function unitOf(unit: string): number | undefined {
  if (/1 ?k\b.*token|thousand/i.test(unit)) return 1_000
  if (/1 ?m\b.*token|million/i.test(unit)) return 1_000_000
  return /^tokens?$/i.test(unit) ? 1 : undefined
}
