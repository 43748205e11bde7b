import { and, eq, inArray, type SQL, sql } from 'drizzle-orm'
import { parseAmount } from '../../schema/money.ts'
import type { Tx } from '../db/database.ts'
import { resource, type spendRollup, type spendTick } from '../db/tables.ts'
import type { Interval } from './intervals.ts'
import { type AliasNames, dimensionFields, type Grouping, type SpendFilter, type Sum } from './spend-groups.ts'

type Source = typeof spendRollup | typeof spendTick

const measured = [
  'cost',
  'requests',
  'refused',
  'failed',
  'tokens',
  'input_tokens',
  'cached_input_tokens',
  'output_tokens',
]
const column = (name: string) => sql.raw(`"${name}"`)

/** `select` of the sums of a source: `g0` … for the keys, `bucket`, then the measures. `atMs` is where TOTAL's one point stands. */
export function sumsFrom(
  source: Source,
  asked: Grouping & { interval: Interval },
  where: SQL | undefined,
  totalAtMs: number,
): SQL {
  const keys = [
    ...(asked.groupBy ?? []).map((dimension) => column(dimensionFields[dimension].column)),
    ...(asked.groupByLabels ?? []).map((label) => sql`coalesce(request_labels ->> ${label}, '')`),
  ]
  const selected = [
    ...keys.map((key, index) => sql`${key} as ${column(`g${index}`)}`),
    sql`${bucketOf(asked.interval, totalAtMs)} as bucket`,
    ...measured.map((name) => sql`sum(${column(name)}) as ${column(name)}`),
  ]
  const places = Array.from({ length: keys.length + 1 }, (_, index) => sql.raw(String(index + 1)))
  return sql`select ${sql.join(selected, sql`, `)} from ${source} where ${where} group by ${sql.join(places, sql`, `)}`
}

/** Unix milliseconds of the interval's start. Weeks and months are UTC's, weeks from Monday, as `floorTo` has them. */
function bucketOf(interval: Interval, totalAtMs: number): SQL {
  if (interval === 'TOTAL') return sql`${totalAtMs}::bigint`
  const unit = sql.raw(`'${interval.toLowerCase()}'`)
  return sql`(extract(epoch from date_trunc(${unit}, at at time zone 'UTC')) * 1000)::bigint`
}

export interface SumRow extends Record<string, unknown> {
  bucket: string | null
}

export function sumOf(row: SumRow, keys: number): Sum {
  const number = (name: string) => Number(row[name])
  return {
    values: Array.from({ length: keys }, (_, index) => String(row[`g${index}`])),
    atMs: Number(row.bucket),
    measures: {
      cost: parseAmount(String(row.cost))!,
      ...{ requests: number('requests'), refused: number('refused'), failed: number('failed') },
      ...{ tokens: number('tokens'), inputTokens: number('input_tokens') },
      ...{ cachedInputTokens: number('cached_input_tokens'), outputTokens: number('output_tokens') },
    },
  }
}

/** The filter as conditions on a source's columns. Aliases are asked for by name and kept by id. */
export async function conditionsOf(tx: Tx, tenant: string, filter: SpendFilter): Promise<SQL[]> {
  const { requestLabels, alias, ...listed } = filter
  const conditions = Object.values(dimensionFields).flatMap(({ field, column: name }) => {
    const values = field === 'alias' ? undefined : listed[field]
    return values ? [oneOf(column(name), values)] : []
  })
  if (alias) conditions.push(oneOf(column('alias'), await aliasIds(tx, tenant, alias)))
  if (requestLabels) conditions.push(sql`request_labels @> ${JSON.stringify(requestLabels)}::jsonb`)
  return conditions
}

const oneOf = (what: SQL, values: string[]) => (values.length === 0 ? sql`false` : inArray(what, values))

/** Archived ones too: what was spent under them was spent under that name. */
async function aliasIds(tx: Tx, tenant: string, names: string[]): Promise<string[]> {
  if (names.length === 0) return []
  const rows = await tx
    .select({ id: resource.id })
    .from(resource)
    .where(and(eq(resource.tenant, tenant), eq(resource.kind, 'alias'), inArray(resource.name, names)))
  return rows.map(({ id }) => id)
}

export async function aliasNames(tx: Tx, tenant: string): Promise<AliasNames> {
  const rows = await tx
    .select({ id: resource.id, name: resource.name })
    .from(resource)
    .where(and(eq(resource.tenant, tenant), eq(resource.kind, 'alias')))
  return new Map(rows.map(({ id, name }) => [id, name]))
}
