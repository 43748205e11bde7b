import { stringify } from 'yaml'
import type { Io } from '../io.ts'

export const formats = ['table', 'json', 'yaml', 'name'] as const
export type Format = (typeof formats)[number]

/** One answer in all its forms. */
export interface View {
  /** For scripts: the same fields as the API. */
  data: unknown
  /** For people. */
  table: () => string
  /** One name a line; handles where there are any. */
  names: () => readonly string[]
}

/** Writes data to stdout in the form that was asked for. */
export function show(io: Io, format: Format, view: View): void {
  io.out(written(format, view))
}

function written(format: Format, { data, table, names }: View): string {
  if (format === 'json') return `${JSON.stringify(data, null, 2)}\n`
  if (format === 'yaml') return stringify(data)
  if (format === 'table') return table()
  return names()
    .map((name) => `${name}\n`)
    .join('')
}
