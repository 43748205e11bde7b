import type { Row } from '../row.ts'
import { bareRows } from './bare.ts'
import { budgetRows } from './budgets.ts'
import { directRows } from './direct.ts'
import { durabilityRows } from './durability.ts'
import { latencyRows } from './latency.ts'
import { leaseRows } from './leases.ts'
import { memoryRows } from './memory.ts'
import { nginxRows } from './nginx.ts'
import { portkeyRows } from './portkey.ts'
import { recordRows } from './records.ts'
import { sluiceRows } from './sluice.ts'
import { snapshotRows } from './snapshot.ts'
import { translatedRows } from './translated.ts'

/** Every row, in the order of the table. */
export const rows: Row[] = [
  ...bareRows,
  ...directRows,
  ...nginxRows,
  ...portkeyRows,
  ...sluiceRows,
  ...budgetRows,
  ...translatedRows,
  ...latencyRows,
  ...durabilityRows,
  ...memoryRows,
  ...snapshotRows,
  ...recordRows,
  ...leaseRows,
]

/** The rows asked for and those that they are held against. */
export function chosenRows(only: string[] | undefined): Row[] {
  if (!only) return rows
  const needed = new Set(only)
  for (const { name, against } of rows) if (only.includes(name) && against) needed.add(against.row)
  return rows.filter(({ name }) => needed.has(name))
}
