import type { Columns } from '../columns.ts'
import { type Measure, readCount } from '../figures.ts'
import type { CsvFormat, Recognise } from '../formats.ts'
import { figuresOf, isWrong, noNumber, readWhen } from './reading.ts'

/**
 * The CSV of a Cloud Billing report by day and SKU, or of the cost table: cloud.google.com/billing/docs/how-to/cost-table. Lines about
 * the account stand before the titles. Days are those of the US Pacific coast.
 */
export const google: Recognise = (columns) => {
  const date = columns.first('Usage start date', 'Date')
  const cost = columns.first('Unrounded subtotal', 'Unrounded cost', 'Subtotal', 'Cost')
  if (!date || !cost || !columns.has('SKU description')) return undefined
  return {
    name: "Google Cloud's billing",
    measures: ['cost', 'input', 'cached', 'output'],
    platforms: ['GOOGLE_AI', 'GOOGLE_VERTEX'],
    timeZone: 'America/Los_Angeles',
    row: rowOf(columns, date, cost),
  }
}

const ofModels = /gemini|vertex|generative language|agent platform/i

const rowOf =
  (columns: Columns, date: string, cost: string): CsvFormat['row'] =>
  (cells) => {
    const cell = (title: string) => columns.cell(cells, title)
    const sku = cell('SKU description')
    if (sku === '' && cell(date) === '') return { skipped: 'lines of sums' }
    if (!ofModels.test(`${cell('Service description')} ${sku}`)) return { skipped: 'lines of other services' }
    if (cell('Credit type') !== '') return { skipped: 'credits' }
    const end = cell('Usage end date')
    if (end !== '' && end !== cell(date))
      return {
        wrong: `this line covers ${cell(date)} to ${end}, and days are compared`,
        wayOut: 'download a billing report grouped by day and SKU instead of the cost table',
      }
    const at = readWhen(date, cell(date))
    if (isWrong(at)) return at
    const figures = figuresOf(columns, cells, { cost: { title: cost } })
    if (isWrong(figures)) return figures
    const measure = measureOf(sku)
    const tokens = measure ? readCount(cell('Usage amount') || '0') : undefined
    if (measure && tokens === undefined) return noNumber('Usage amount', cell('Usage amount'))
    return { at, model: modelOf(sku), figures: { ...figures, ...(measure && { [measure]: tokens }) } }
  }

/** `Generate content output token count gemini 2.5 flash short input text` is of output: the first word of the two counts. */
function measureOf(sku: string): Measure | undefined {
  if (/storage/i.test(sku)) return undefined
  if (/cach/i.test(sku)) return 'cached'
  const [first] = /input|output/i.exec(sku) ?? []
  return first ? (first.toLowerCase() === 'input' ? 'input' : 'output') : undefined
}

const named = /(?:gemini|gemma)[ -]\d+(?:\.\d+)?(?:[ -](?:pro|flash|lite|nano|ultra|image|native|live|preview))*/i

const modelOf = (sku: string): string => named.exec(sku)?.[0] ?? sku
