import type { Columns } from '../columns.ts'
import { type Figures, type Measure, readAmount, readCount } from '../figures.ts'

/** Where each measure of a row stands, and how many tokens a unit of it is. */
export type Places = Partial<Record<Measure, { title: string; unit?: number }>>

/** The figures of a row; an empty cell is nothing. */
export function figuresOf(
  columns: Columns,
  cells: readonly string[],
  places: Places,
): Partial<Figures> | { wrong: string; wayOut: string } {
  const figures: Partial<Figures> = {}
  for (const [measure, { title, unit }] of Object.entries(places) as [Measure, { title: string; unit?: number }][]) {
    const text = columns.cell(cells, title)
    if (text === '') continue
    const value = measure === 'cost' ? readAmount(text) : readCount(text, unit)
    if (value === undefined) return noNumber(title, text)
    figures[measure] = (figures[measure] ?? 0n) + value
  }
  return figures
}

export const noNumber = (title: string, text: string) => ({
  wrong: `${JSON.stringify(text.slice(0, 40))} in column ${JSON.stringify(title)} is no number`,
  wayOut: 'write numbers with a point, such as 1234.50; a thousands comma is read too',
})

export const isWrong = (value: object): value is { wrong: string; wayOut: string } => 'wrong' in value

const isoDay = /^(\d{4})-(\d{2})-(\d{2})/
const slashes = /^(\d{1,2})\/(\d{1,2})\/(\d{4})/

/** A day alone, or an instant: RFC 3339, Unix seconds, or Azure's month/day/year. */
export function readWhen(
  title: string,
  text: string,
): { wrong: string; wayOut: string } | { day: string } | { ms: number } {
  if (/^\d{9,11}$/.test(text)) return { ms: Number(text) * 1_000 }
  const [, month, day, year] = slashes.exec(text) ?? []
  const written = year ? `${year}-${month!.padStart(2, '0')}-${day!.padStart(2, '0')}` : text
  const date = isoDay.exec(written)?.[0]
  if (!date || !isDay(date)) return noDay(title, text)
  const timed = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}/.test(written)
  if (!timed) return { day: date }
  const zoned = /(?:Z|[+-]\d{2}:?\d{2}|UTC)$/.test(written) ? written.replace(/ ?UTC$/, 'Z') : `${written}Z`
  const ms = Date.parse(zoned.replace(' ', 'T'))
  return Number.isNaN(ms) ? noDay(title, text) : { ms }
}

/** 2026-02-31 is none. */
function isDay(date: string): boolean {
  const at = new Date(`${date}T00:00:00Z`)
  return !Number.isNaN(at.getTime()) && at.toISOString().slice(0, 10) === date
}

const noDay = (title: string, text: string) => ({
  wrong: `${JSON.stringify(text.slice(0, 40))} in column ${JSON.stringify(title)} is no day`,
  wayOut: 'write days as 2026-01-31, or instants as 2026-01-31T12:00:00Z',
})
