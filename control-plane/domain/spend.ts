import type { Tx } from '../db/database.ts'

export const spendDimensions = [
  'TEAM',
  'PROJECT',
  'PRINCIPAL',
  'API_KEY',
  'PROVIDER',
  'MODEL',
  'ALIAS',
  'TIER',
  'DATA_PLANE',
] as const
export type SpendDimension = (typeof spendDimensions)[number]
export type Interval = 'MINUTE' | 'HOUR' | 'DAY' | 'WEEK' | 'MONTH' | 'TOTAL'

/** Ids, all of them but `alias`, which holds names of declared aliases: resolve Refs before. */
export interface SpendFilter {
  team?: string[] | null
  project?: string[] | null
  principal?: string[] | null
  apiKey?: string[] | null
  provider?: string[] | null
  model?: string[] | null
  alias?: string[] | null
  tier?: string[] | null
  dataPlane?: string[] | null
  requestLabels?: Record<string, string> | null
}

export interface SpendArgs {
  /** Half-open; rounded outwards to whole intervals (whole minutes for TOTAL). `to` absent = now on. */
  window: { from?: Date | null; to?: Date | null }
  interval: Interval
  groupBy?: SpendDimension[] | null
  groupByLabels?: string[] | null
  filter?: SpendFilter | null
  /** The largest groups; the rest is folded into one whose key values are `other`. Null = every group. */
  top?: number | null
}

export interface SpendKey {
  dimension: SpendDimension | 'LABEL'
  /** Of a LABEL: which. */
  label: string | null
  /** Id of the resource, the name of an alias or the label's value; '' = none, 'other' = the folded rest. */
  value: string
  /** Id of the resource behind it, where there is one. */
  resourceId: string | null
}

export interface SpendPoint {
  at: Date
  /** At 10⁻¹² of the currency. */
  cost: bigint
  requests: number
  refused: number
  failed: number
  tokens: number
  inputTokens: number
  cachedInputTokens: number
  outputTokens: number
}

export interface SpendGroup {
  key: SpendKey[]
  points: SpendPoint[]
  total: bigint
}

export interface SpendSeries {
  window: { from: Date; to: Date }
  interval: Interval
  currency: string
  groups: SpendGroup[]
  /** The same however it is grouped. */
  total: bigint
  settledThrough: Date
  /** Ids of data planes that are not waited for. */
  pending: string[]
  cursor: string
}

/** Rollups and the cursor they stand at, read in one statement: add the ticks after `cursor` and nothing is missed or counted twice. */
export async function spend(tx: Tx, tenant: string, args: SpendArgs, nowMs: number): Promise<SpendSeries> {
  void tx, tenant, args, nowMs
  throw new Error('not built yet')
}
