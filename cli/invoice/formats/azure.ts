import type { Columns } from '../columns.ts'
import { type Measure, readCount } from '../figures.ts'
import type { CsvFormat, Recognise } from '../formats.ts'
import { figuresOf, isWrong, noNumber, readWhen } from './reading.ts'

/**
 * Cost exports, actual or amortised: learn.microsoft.com/azure/cost-management-billing/dataset-schema. A meter is named for people in
 * a hurry: `gpt-4o-0806-Inp-glbl Tokens`, `gpt 4o 1120 cached Inp regnl Tokens`.
 */
export const azure: Recognise = (columns) => {
  const date = columns.first('Date', 'UsageDateTime')
  const cost = columns.first('CostInBillingCurrency', 'Cost', 'PreTaxCost')
  if (!date || !cost || !columns.has('MeterName', 'Quantity')) return undefined
  return {
    name: "Azure's cost export",
    measures: ['cost', 'input', 'cached', 'output'],
    platforms: ['AZURE_OPENAI'],
    timeZone: 'UTC',
    row: rowOf(columns, date, cost),
  }
}

const ofModels = /openai|foundry|cognitive services/i

const rowOf =
  (columns: Columns, date: string, cost: string): CsvFormat['row'] =>
  (cells) => {
    const cell = (title: string) => columns.cell(cells, title)
    const [meter, unit] = [cell('MeterName'), cell('UnitOfMeasure')]
    const names = `${cell('MeterCategory')} ${cell('MeterSubCategory')} ${cell('ProductName')}`
    if (!ofModels.test(names) || !/token/i.test(`${meter} ${unit}`)) return { skipped: 'lines of other services' }
    const at = readWhen(date, cell(date))
    if (isWrong(at)) return at
    const figures = figuresOf(columns, cells, { cost: { title: cost } })
    if (isWrong(figures)) return figures
    const { model, measure } = meaningOf(meter)
    const tokens = measure ? readCount(cell('Quantity') || '0', sizeOf(unit, meter)) : undefined
    if (measure && tokens === undefined) return noNumber('Quantity', cell('Quantity'))
    const currency = cell(columns.first('BillingCurrencyCode', 'BillingCurrency', 'Currency') ?? '')
    return { at, model, figures: { ...figures, ...(measure && { [measure]: tokens }) }, ...(currency && { currency }) }
  }

/** Of one unit: `1K`, `1K Tokens`, `1M`; a meter's name may say it instead. */
function sizeOf(unit: string, meter: string): number {
  const [, digits, letter] = /^\s*(\d*)\s*([KM])\b/i.exec(unit) ?? /(\d+)\s*([KM])\s*tokens/i.exec(meter) ?? []
  if (!letter) return 1
  return Number(digits || 1) * (letter.toUpperCase() === 'K' ? 1_000 : 1_000_000)
}

const cached = /^(?:cached|cache|cchd|cd)$/
const outputs = /^(?:batch)?(?:outp|output|outpt|opt|out)$/
const inputs = /^(?:batch)?(?:inp|input|inpt|in)$/
/** Where and how it ran: of no matter to which model it is. */
const aside =
  /^(?:glbl|global|gl|regnl|regional|data|zone|datazone|dzone|dz|batch|tokens?|1[km]|fl|flex|pp|priority|longco|loco|short|long)$/

function meaningOf(meter: string): { model: string; measure?: Measure } {
  const words = meter.split(/[\s-]+/).filter(Boolean)
  const low = words.map((word) => word.toLowerCase())
  const has = (pattern: RegExp) => low.some((word) => pattern.test(word))
  const writes = has(/^(?:wr|write|writes)$/)
  const model = words
    .filter(
      (_, at) => ![cached, outputs, inputs, aside, /^(?:wr|write|writes)$/].some((pattern) => pattern.test(low[at]!)),
    )
    .join(' ')
  if (has(cached)) return { model, measure: writes ? 'input' : 'cached' }
  if (has(outputs)) return { model, measure: 'output' }
  return has(inputs) ? { model, measure: 'input' } : { model: model || meter }
}
