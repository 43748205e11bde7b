import { formatAmount } from '../../schema/money.ts'
import type { Io } from '../io.ts'
import { bar } from '../output/bars.ts'
import { paint } from '../output/paint.ts'
import { type Column, formatTable } from '../output/table.ts'
import { type ComparedLine, type Comparison, differenceOf, isDifferent } from './compare.ts'
import type { Figures, Measure } from './figures.ts'
import type { Invoice } from './read.ts'
import type { Matched } from './reconcile.ts'
import type { Recorded } from './records.ts'

export interface Reconciled {
  invoice: Invoice
  matched: Matched
  recorded: Recorded
  comparison: Comparison
  currency: string
  window: { first: string; last: string; timeZone: string }
}

const jsonNames = { cost: 'cost', input: 'inputTokens', cached: 'cachedInputTokens', output: 'outputTokens' } as const

/** For scripts: every line, exact. Only what the export tells is there. */
export function reconciledData({ invoice, matched, recorded, comparison, currency, window }: Reconciled) {
  const figures = (side: Figures | null) => side && told(invoice.measures, (measure) => text(measure, side[measure]))
  const line = (one: Pick<ComparedLine, 'invoice' | 'records'>) => ({
    invoice: figures(one.invoice),
    records: figures(one.records),
    difference: told(invoice.measures, (measure) => text(measure, differenceOf(one, measure))),
  })
  return {
    ...{ format: invoice.format, providers: matched.providers, currency, ...window },
    settledThrough: recorded.settledThrough,
    pending: recorded.pending,
    different: comparison.lines.filter(isDifferent).length,
    unknown: matched.unknown,
    skipped: Object.fromEntries(invoice.skipped),
    total: line(comparison),
    lines: comparison.lines.map((one) => ({ day: one.day, model: one.model, verdict: one.verdict, ...line(one) })),
  }
}

const told = <T>(measures: readonly Measure[], value: (measure: Measure) => T) =>
  Object.fromEntries(measures.map((measure) => [jsonNames[measure], value(measure)]))

const text = (measure: Measure, value: bigint) => (measure === 'cost' ? formatAmount(value) : value.toString())

const barWidth = 16

/** For people: what differs, line by line, with a bar for how much, then both sums. */
export function formatComparison(result: Reconciled, all: boolean, io: Pick<Io, 'env' | 'isStdoutTty'>): string {
  const { comparison, invoice, currency, matched, window } = result
  const colour = paint(io.isStdoutTty, io.env)
  const lines = all ? comparison.lines : comparison.lines.filter(isDifferent)
  const different = comparison.lines.filter(isDifferent).length
  const main: Measure = invoice.measures.includes('cost') ? 'cost' : 'input'
  const head = `${invoice.format}, ${matched.providers.join(', ') || 'no provider of ours'}, ${window.first} to ${window.last} (${window.timeZone})`
  const sum = `invoice ${shown(main, comparison.invoice[main])}, records ${shown(main, comparison.records[main])}, ${signed(main, differenceOf(comparison, main))}${share(comparison, main)} ${main === 'cost' ? currency : 'input tokens'}`
  const verdict =
    different === 0
      ? colour.green(`All ${comparison.lines.length} lines agree.`)
      : colour.yellow(`${different} of ${comparison.lines.length} lines differ.`)
  const table = lines.length > 0 ? formatTable(lines, columnsOf(lines, invoice.measures, main)) : ''
  return `${colour.dim(head)}\n${table}${colour.bold(sum)}\n${verdict}\n`
}

function columnsOf(
  lines: readonly ComparedLine[],
  measures: readonly Measure[],
  main: Measure,
): Column<ComparedLine>[] {
  const most = lines.reduce((largest, line) => max(largest, absolute(differenceOf(line, main))), 0n)
  const side = (title: string, of: 'invoice' | 'records'): Column<ComparedLine> => ({
    title,
    align: 'right',
    value: (line) => (line[of] ? shown(main, line[of][main]) : '–'),
  })
  const others = measures.filter(
    (measure) => measure !== main && lines.some((line) => differenceOf(line, measure) !== 0n),
  )
  return [
    { title: 'DAY', value: ({ day }) => day },
    { title: 'MODEL', value: ({ model }) => model },
    side('INVOICE', 'invoice'),
    side('RECORDS', 'records'),
    { title: 'DIFFERENCE', align: 'right', value: (line) => signed(main, differenceOf(line, main)) },
    { title: '', align: 'right', value: (line) => share(line, main).trim() },
    ...others.map(
      (measure): Column<ComparedLine> => ({
        title: titles[measure],
        align: 'right',
        value: (line) => signed(measure, differenceOf(line, measure)),
      }),
    ),
    { title: '', value: ({ verdict }) => sayings[verdict] },
    { title: '', value: (line) => bar(absolute(differenceOf(line, main)), most, barWidth) },
  ]
}

const titles = { cost: 'COST', input: 'INPUT TOKENS', cached: 'CACHED TOKENS', output: 'OUTPUT TOKENS' } as const
const sayings = {
  SAME: 'same',
  TOLERATED: 'tolerated',
  DIFFERENT: 'different',
  ONLY_INVOICE: 'only in the invoice',
  ONLY_RECORDS: 'only in the records',
} as const

const micro = 1_000_000n

/** Money to six digits for people; `-o json` has every one. */
function shown(measure: Measure, value: bigint): string {
  if (measure !== 'cost') return value.toLocaleString('en-US')
  const rounded = (value + (value < 0n ? -micro : micro) / 2n) / micro
  const [whole, fraction = ''] = formatAmount(rounded * micro).split('.')
  return `${whole}.${fraction.padEnd(2, '0')}`
}

const signed = (measure: Measure, value: bigint) =>
  value === 0n ? '0' : `${value > 0n ? '+' : '−'}${shown(measure, absolute(value))}`

/** `(+1.8 %)` of the invoice; nothing where it has nothing. */
function share(line: Pick<ComparedLine, 'invoice' | 'records'>, measure: Measure): string {
  const whole = absolute(line.invoice?.[measure] ?? 0n)
  const difference = differenceOf(line, measure)
  if (whole === 0n || difference === 0n) return ''
  const tenths = (absolute(difference) * 1_000n + whole / 2n) / whole
  return ` (${difference > 0n ? '+' : '−'}${tenths / 10n}.${tenths % 10n} %)`
}

const absolute = (value: bigint) => (value < 0n ? -value : value)
const max = (a: bigint, b: bigint) => (a > b ? a : b)
