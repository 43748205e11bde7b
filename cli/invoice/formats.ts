import type { Columns } from './columns.ts'
import type { InvoiceRow, Measure } from './figures.ts'
import { anthropicCosts, anthropicUsage } from './formats/anthropic.ts'
import { awsBedrock } from './formats/aws.ts'
import { azure } from './formats/azure.ts'
import { generic } from './formats/generic.ts'
import { google } from './formats/google.ts'
import { openaiCosts, openaiUsage } from './formats/openai.ts'

/** A row's meaning; or that it is of something else (told by number), or what is wrong with it and the way out. */
export type ReadRow = InvoiceRow | { skipped: string } | { wrong: string; wayOut: string }

export interface CsvFormat {
  /** As people call it. */
  name: string
  /** What it tells: nothing else is compared. */
  measures: readonly Measure[]
  /** `Provider.platform` of the models it can be about; empty = any. */
  platforms: readonly string[]
  /** Where its days begin at midnight, unless `--time-zone` says otherwise. */
  timeZone: string
  row(cells: readonly string[]): ReadRow
}

/** Whether a file with these columns is of this format. */
export type Recognise = (columns: Columns) => CsvFormat | undefined

/** The particular before the general. */
const known: readonly Recognise[] = [
  openaiUsage,
  openaiCosts,
  anthropicUsage,
  anthropicCosts,
  awsBedrock,
  azure,
  google,
  generic,
]

export function formatOf(columns: Columns): CsvFormat | undefined {
  for (const recognise of known) {
    const format = recognise(columns)
    if (format) return format
  }
  return undefined
}

export const formatNames =
  "OpenAI's usage and costs, Anthropic's usage and cost, AWS Cost and Usage Reports, Azure cost exports, Google Cloud billing, or columns date, model, input tokens, output tokens, cost"
