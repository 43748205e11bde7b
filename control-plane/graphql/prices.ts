import type { Resource } from '../../schema/config/index.ts'

type Sheet = Resource<'priceSheet'>
export type PriceLine = Sheet['spec']['lines'][number]

/**
 * The price lines that hold for a model at a moment: those of the latest sheet in force that names it, whole. Of two sheets
 * from the same moment the one declared last holds.
 */
export function pricesAt(sheets: readonly Sheet[], model: string, atMs: number): PriceLine[] {
  const since = (sheet: Sheet) => Date.parse(sheet.spec.effectiveFrom)
  const inForce = sheets
    .filter((sheet) => since(sheet) <= atMs && sheet.spec.lines.some((line) => line.model === model))
    .sort((a, b) => since(b) - since(a) || (a.id < b.id ? 1 : -1))
  return inForce[0]?.spec.lines.filter((line) => line.model === model) ?? []
}
