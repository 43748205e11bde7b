import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { createGunzip } from 'node:zlib'
import { type Failed, failed, isFailed, type Trouble } from '../trouble.ts'
import { Columns } from './columns.ts'
import { csvRecords } from './csv.ts'
import { dayReader } from './days.ts'
import { addFigures, type Figures, type InvoiceRow, type Measure, noFigures } from './figures.ts'
import { type ColumnNames, genericWith, missingColumns } from './formats/generic.ts'
import { type CsvFormat, formatNames, formatOf } from './formats.ts'
import { readPage } from './pages.ts'

/** What an export says of one day and one model, by the provider's name of it. */
export interface InvoiceLine {
  day: string
  model: string
  figures: Figures
}

export interface Invoice {
  format: string
  measures: readonly Measure[]
  platforms: readonly string[]
  timeZone: string
  lines: Map<string, InvoiceLine>
  rows: number
  /** Rows that are of something else, by what they are. */
  skipped: Map<string, number>
  /** The export is a page of an API that has more. */
  isPart: boolean
}

export interface Reading {
  columns: ColumnNames | null
  timeZone: string | null
  /** The tenant's: an export in another is refused, unless `rate` says what one of its units is worth. */
  currency: string
  rate: bigint | null
  /** First and last day to read. */
  from: string | null
  to: string | null
}

export const readingBounds = { troublesMax: 10, linesMax: 100_000, preambleMax: 50, pageBytesMax: 64 * 1024 ** 2 }

/** Reads exports of one format, one after the other, as a stream; what is wrong in them is told by line, ten at most. */
export async function readInvoice(paths: readonly string[], reading: Reading): Promise<Invoice | Failed> {
  let invoice: Invoice | undefined
  for (const path of paths) {
    const sum: Invoice | Failed = await readFile(path, reading, invoice)
    if (isFailed(sum)) return sum
    invoice = sum
  }
  return invoice!
}

async function readFile(path: string, reading: Reading, before: Invoice | undefined): Promise<Invoice | Failed> {
  const start = await firstBytes(path)
  if (!start) return failed('NO_FILE', `${path} cannot be read.`, { advice: 'is the path right, and may you read it?' })
  const chunks = textOf(path, start)
  try {
    const { value: first = '' } = await chunks.next()
    const whole = joined(first, chunks)
    return /^\s*[[{]/.test(first.replace(/^\uFEFF/, ''))
      ? await readJson(path, whole, reading, before)
      : await readCsv(path, whole, reading, before)
  } catch (error) {
    const { code = 'it is damaged' } = error as { code?: string }
    return failed('NO_FILE', `${path} cannot be read to its end (${code}).`, { advice: 'download it once more' })
  }
}

async function firstBytes(path: string): Promise<Buffer | undefined> {
  try {
    const file = await open(path)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, 0)
    await file.close()
    return buffer.subarray(0, bytesRead)
  } catch {
    return undefined
  }
}

/** Characters of a file that may be gzipped (as AWS delivers), in UTF-8 or (as spreadsheets save) UTF-16. */
async function* textOf(path: string, start: Buffer): AsyncGenerator<string, void> {
  const file = createReadStream(path)
  const bytes = start[0] === 0x1f && start[1] === 0x8b ? file.pipe(createGunzip()) : file
  const decoder = new TextDecoder(start[0] === 0xff && start[1] === 0xfe ? 'utf-16le' : 'utf-8')
  for await (const chunk of bytes) yield decoder.decode(chunk as Buffer, { stream: true })
  yield decoder.decode()
}

async function* joined(first: string, rest: AsyncIterable<string>): AsyncGenerator<string, void> {
  yield first
  yield* rest
}

async function readJson(path: string, chunks: AsyncIterable<string>, reading: Reading, before: Invoice | undefined) {
  let text = ''
  for await (const chunk of chunks) {
    text += chunk
    if (text.length > readingBounds.pageBytesMax)
      return failed('TOO_LARGE', `${path} is larger than a page of an API is.`, {
        advice: 'give a CSV, which may be of any size',
      })
  }
  const page = readPage(text)
  if ('wrong' in page) return failed('BAD_EXPORT', `${path}: ${page.wrong}.`, { advice: page.wayOut })
  const invoice = begun(before, { ...page, timeZone: 'UTC' }, reading, path)
  if (isFailed(invoice)) return invoice
  const take = taker(invoice, reading)
  for (const row of page.rows) {
    const wrong = take(row)
    if (wrong) return failed('BAD_EXPORT', `${wrong.wrong}.`, { where: path, advice: wrong.wayOut })
  }
  return { ...invoice, isPart: page.hasMore }
}

async function readCsv(path: string, chunks: AsyncIterable<string>, reading: Reading, before: Invoice | undefined) {
  const troubles: Trouble[] = []
  const tell = (line: number, { wrong, wayOut }: { wrong: string; wayOut: string }) =>
    troubles.push({ code: 'BAD_ROW', message: `${wrong}.`, where: `${path}:${line}`, advice: wayOut })
  let preamble = 0
  let found: { format: CsvFormat; invoice: Invoice; take: Taker } | undefined
  for await (const record of csvRecords(chunks)) {
    if ('wrong' in record)
      tell(record.line, { wrong: record.wrong, wayOut: 'the file is no whole CSV: export it again' })
    else if (!found) {
      const opened = openFormat(path, record.cells, reading, before)
      if (isFailed(opened)) return opened
      if (!opened && ++preamble > readingBounds.preambleMax) break
      found = opened
    } else {
      const row = found.format.row(record.cells)
      if ('skipped' in row) found.invoice.skipped.set(row.skipped, (found.invoice.skipped.get(row.skipped) ?? 0) + 1)
      else {
        const wrong = 'wrong' in row ? row : found.take(row)
        if (wrong) tell(record.line, wrong)
      }
    }
    if (troubles.length >= readingBounds.troublesMax) break
  }
  if (troubles.length > 0) return { failed: troubles, exit: 1 } satisfies Failed
  return found?.invoice ?? unknownFormat(path)
}

const unknownFormat = (path: string) =>
  failed('UNKNOWN_EXPORT', `${path} has no line of titles that is known here.`, {
    advice: `known are ${formatNames}; for another table: --columns date=Day,model=Name,input=In,output=Out,cost=USD`,
  })

/** The format and what was read before, where these are the titles. */
function openFormat(path: string, cells: string[], reading: Reading, before: Invoice | undefined) {
  const columns = new Columns(cells)
  if (reading.columns && missingColumns(columns, reading.columns).length > 0) return undefined
  const format = reading.columns ? genericWith(columns, reading.columns) : formatOf(columns)
  if (!format) return undefined
  const invoice = begun(before, format, reading, path)
  return isFailed(invoice) ? invoice : { format, invoice, take: taker(invoice, reading) }
}

function begun(
  before: Invoice | undefined,
  { name, measures, platforms, timeZone }: Pick<CsvFormat, 'name' | 'measures' | 'platforms' | 'timeZone'>,
  reading: Reading,
  path: string,
): Invoice | Failed {
  if (before && before.format !== name)
    return failed('MIXED_EXPORTS', `${path} is ${name}, the file before is ${before.format}.`, {
      advice: 'compare exports of one kind at a time',
    })
  return (
    before ?? {
      ...{ format: name, measures, platforms, timeZone: reading.timeZone ?? timeZone },
      ...{ lines: new Map(), rows: 0, skipped: new Map(), isPart: false },
    }
  )
}

type Taker = (row: InvoiceRow) => { wrong: string; wayOut: string } | undefined
const unit = 10n ** 12n

/** Adds rows up by day and model. */
function taker(invoice: Invoice, { currency, rate, from, to }: Reading): Taker {
  const dayOf = dayReader(invoice.timeZone)
  return ({ at, model, figures, currency: given }) => {
    if (rate === null && given && given !== currency)
      return {
        wrong: `this is in ${given}, and the records are in ${currency}`,
        wayOut: `say with --rate what one ${given} is in ${currency}`,
      }
    const day = 'day' in at ? at.day : dayOf(at.ms)
    if ((from && day < from) || (to && day > to)) return undefined
    const key = `${day} ${model}`
    let line = invoice.lines.get(key)
    if (!line) {
      if (invoice.lines.size >= readingBounds.linesMax)
        return { wrong: 'there are too many models and days', wayOut: 'narrow it with --from and --to' }
      line = { day, model, figures: noFigures() }
      invoice.lines.set(key, line)
    }
    const cost = figures.cost !== undefined && rate !== null ? (figures.cost * rate) / unit : figures.cost
    addFigures(line.figures, { ...figures, ...(cost !== undefined && { cost }) })
    invoice.rows++
    return undefined
  }
}
