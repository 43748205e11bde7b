import type { Columns } from '../columns.ts'
import { type Measure, measures } from '../figures.ts'
import type { CsvFormat, Recognise } from '../formats.ts'
import { figuresOf, isWrong, type Places, readWhen } from './reading.ts'

/** What a plain file may call its columns; `--columns` names others. */
const usual: Record<'date' | 'model' | Measure, readonly string[]> = {
  date: ['date', 'day', 'usage date', 'at', 'timestamp', 'time'],
  model: ['model', 'model name', 'slug'],
  input: ['input tokens', 'prompt tokens', 'input'],
  cached: ['cached input tokens', 'cached tokens', 'cached'],
  output: ['output tokens', 'completion tokens', 'output'],
  cost: ['cost', 'amount', 'cost usd', 'total cost'],
}
export type ColumnNames = Partial<Record<keyof typeof usual, string>>
export const columnNames = Object.keys(usual) as (keyof typeof usual)[]

export const generic: Recognise = (columns) => genericWith(columns, {})

/** A file of which the names of some columns are told. */
export function genericWith(columns: Columns, told: ColumnNames): CsvFormat | undefined {
  const find = (what: keyof typeof usual) => told[what] ?? columns.first(...usual[what])
  const [date, model] = [find('date'), find('model')]
  const places: Places = {}
  for (const measure of measures) {
    const title = find(measure)
    if (title) places[measure] = { title }
  }
  if (!date || !model || Object.keys(places).length === 0) return undefined
  return {
    name: 'a plain table',
    measures: Object.keys(places) as Measure[],
    platforms: [],
    timeZone: 'UTC',
    row: rowOf(columns, date, model, places),
  }
}

const rowOf =
  (columns: Columns, date: string, model: string, places: Places): CsvFormat['row'] =>
  (cells) => {
    const at = readWhen(date, columns.cell(cells, date))
    if (isWrong(at)) return at
    const name = columns.cell(cells, model)
    if (name === '')
      return {
        wrong: `column ${JSON.stringify(model)} is empty`,
        wayOut: 'name a model in each line, or take the line out',
      }
    const figures = figuresOf(columns, cells, places)
    if (isWrong(figures)) return figures
    const currency = columns.cell(cells, 'currency').toUpperCase()
    return { at, model: name, figures, ...(currency && { currency }) }
  }

/** `date=Day,model=Name,cost=USD`; titles that the file does not have are told. */
export function readColumns(typed: string): ColumnNames | { wrong: string } {
  const names: ColumnNames = {}
  for (const pair of typed.split(',')) {
    const [what, ...rest] = pair.split('=')
    const title = rest.join('=').trim()
    if (!columnNames.includes(what!.trim() as never) || title === '')
      return { wrong: `${JSON.stringify(pair)} is not one of ${columnNames.map((name) => `${name}=Title`).join(', ')}` }
    names[what!.trim() as keyof ColumnNames] = title
  }
  return names
}

export function missingColumns(columns: Columns, told: ColumnNames): string[] {
  return Object.values(told).filter((title) => !columns.has(title))
}
