import { type Figures, type Measure, noFigures } from './figures.ts'

/** What one side says of a day and a model. */
export interface Side {
  day: string
  /** What both sides call it. */
  model: string
  figures: Figures
}

/** Within either of them a difference is none. */
export interface Tolerance {
  /** Of the invoice's figure, in millionths. */
  share: bigint
  /** Of the currency, at 10⁻¹²; tokens know none. */
  amount: bigint
}

export type Verdict = 'SAME' | 'TOLERATED' | 'DIFFERENT' | 'ONLY_INVOICE' | 'ONLY_RECORDS'

export interface ComparedLine {
  day: string
  model: string
  invoice: Figures | null
  records: Figures | null
  verdict: Verdict
}

export interface Comparison {
  lines: ComparedLine[]
  invoice: Figures
  records: Figures
}

/** Both sides, day by day and model by model. Only what the export tells is judged. */
export function compare(
  invoice: Iterable<Side>,
  records: Iterable<Side>,
  measures: readonly Measure[],
  tolerance: Tolerance,
): Comparison {
  const lines = new Map<string, { day: string; model: string; invoice: Figures | null; records: Figures | null }>()
  const totals = { invoice: noFigures(), records: noFigures() }
  const put = (side: 'invoice' | 'records', { day, model, figures }: Side) => {
    const key = `${day} ${model}`
    const line = lines.get(key) ?? { day, model, invoice: null, records: null }
    line[side] = plus(line[side] ?? noFigures(), figures)
    totals[side] = plus(totals[side], figures)
    lines.set(key, line)
  }
  for (const side of invoice) put('invoice', side)
  for (const side of records) put('records', side)
  const judged = [...lines.values()].map((line) => ({ ...line, verdict: verdictOf(line, measures, tolerance) }))
  judged.sort((a, b) => (a.day === b.day ? compareText(a.model, b.model) : compareText(a.day, b.day)))
  return { lines: judged, ...totals }
}

export const isDifferent = ({ verdict }: Pick<ComparedLine, 'verdict'>) => verdict !== 'SAME' && verdict !== 'TOLERATED'

/** What the invoice has more than the records; negative where it has less. */
export const differenceOf = ({ invoice, records }: Pick<ComparedLine, 'invoice' | 'records'>, measure: Measure) =>
  (invoice?.[measure] ?? 0n) - (records?.[measure] ?? 0n)

function verdictOf(line: Omit<ComparedLine, 'verdict'>, measures: readonly Measure[], tolerance: Tolerance): Verdict {
  if (measures.every((measure) => differenceOf(line, measure) === 0n)) return 'SAME'
  if (measures.every((measure) => isTolerated(line, measure, tolerance))) return 'TOLERATED'
  if (!line.invoice) return 'ONLY_RECORDS'
  return line.records ? 'DIFFERENT' : 'ONLY_INVOICE'
}

function isTolerated(line: Omit<ComparedLine, 'verdict'>, measure: Measure, { share, amount }: Tolerance): boolean {
  const difference = absolute(differenceOf(line, measure))
  if (measure === 'cost' && difference <= amount) return true
  return difference * 1_000_000n <= absolute(line.invoice?.[measure] ?? 0n) * share
}

const plus = (a: Figures, b: Figures): Figures => ({
  ...{ input: a.input + b.input, cached: a.cached + b.cached },
  ...{ output: a.output + b.output, cost: a.cost + b.cost },
})
const absolute = (value: bigint) => (value < 0n ? -value : value)
const compareText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)
