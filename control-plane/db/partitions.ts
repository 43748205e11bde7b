import { sql } from 'drizzle-orm'
import type { Database, Tx } from './database.ts'

/** A table that is partitioned by time. Times are the control plane's, not those of who sends rows. */
export interface Partitioned {
  table: 'flight_record' | 'spend_tick'
  key: 'received_at' | 'written_at'
  length: 'MONTH' | 'DAY'
  /** Partitions that are there beyond the present one. */
  ahead: number
  /** The column of `log_state` that says up to which number of the log rows were dropped. */
  horizon: 'records_pruned' | 'ticks_pruned'
}

export const records: Partitioned = {
  ...{ table: 'flight_record', key: 'received_at', horizon: 'records_pruned' },
  ...{ length: 'MONTH', ahead: 2 },
}
export const ticks: Partitioned = {
  ...{ table: 'spend_tick', key: 'written_at', horizon: 'ticks_pruned' },
  ...{ length: 'DAY', ahead: 3 },
}

interface Span {
  name: string
  fromMs: number
  toMs: number
}

const lock = 5_834_520_002
/** Queries of the whole table wait while a partition comes or goes, and it waits for them. */
const lockWait = '2s'

/** Makes the present partition and those ahead, where they are missing. Rows that came earlier move from the default partition. */
export async function makePartitions(db: Database, of: Partitioned, nowMs: number): Promise<void> {
  const wanted = Array.from({ length: of.ahead + 1 }, (_, step) => spanAt(of, nowMs, step))
  for (const span of wanted)
    await db.withOwner(async (tx) => {
      await begin(tx)
      if (!(await exists(tx, span.name))) await make(tx, of, span)
    })
}

async function make(tx: Tx, { table, key }: Partitioned, { name, fromMs, toMs }: Span): Promise<void> {
  const [from, to] = [fromMs, toMs].map((ms) => new Date(ms).toISOString())
  const rest = `${table}_default`
  for (const statement of [
    `create table ${name} (like ${rest} including all)`,
    // The wall holds its owner off too, who has to move what is behind it.
    `alter table ${rest} no force row level security`,
    `with moved as (delete from ${rest} where ${key} >= '${from}' and ${key} < '${to}' returning *)
     insert into ${name} select * from moved`,
    `alter table ${rest} force row level security`,
    // No policy and no grant: whoever speaks for a tenant or the installation comes through the table, whose policies hold.
    `alter table ${name} enable row level security`,
    `alter table ${name} force row level security`,
    `alter table ${table} attach partition ${name} for values from ('${from}') to ('${to}')`,
  ])
    await tx.execute(sql.raw(statement))
}

/**
 * Drops the partitions that end before `beforeMs`, and notes for each tenant how far its log is gone. A partition with rows that
 * are not in the log yet stays.
 */
export async function dropPartitions(db: Database, of: Partitioned, beforeMs: number): Promise<string[]> {
  const tenants = await tenantsOf(db)
  const dropped: string[] = []
  for (const { name } of (await spansOf(db, of)).filter(({ toMs }) => toMs <= beforeMs))
    if (await db.withOwner((tx) => drop(tx, of, name, tenants), { keep: (done) => done })) dropped.push(name)
  return dropped
}

async function drop(tx: Tx, of: Partitioned, name: string, tenants: string[]): Promise<boolean> {
  await begin(tx)
  if (!(await exists(tx, name))) return false
  await tx.execute(sql.raw(`alter table ${name} no force row level security`))
  const place = sql.raw(name)
  const pending =
    of.table === 'flight_record' && (await tx.execute(sql`select from ${place} where number is null limit 1`))
  if (pending && (pending as unknown as unknown[]).length > 0) return false
  // By tenant, since each is one look at the index; grouping would read the whole of it.
  const last = await tx.execute(sql`
    select tenant, (select max(number) from ${place} as part where part.tenant = list.tenant) as last
    from jsonb_array_elements_text(${JSON.stringify(tenants)}::jsonb) as list (tenant)`)
  await tx.execute(sql.raw(`drop table ${name}`))
  await tx.execute(sql`select set_config('role', 'sluice_installation', true)`)
  const horizon = sql.raw(of.horizon)
  await tx.execute(sql`
    update log_state set ${horizon} = greatest(${horizon}, gone.last)
    from jsonb_to_recordset(${JSON.stringify(last)}::jsonb) as gone (tenant text, last bigint)
    where log_state.tenant = gone.tenant and gone.last is not null`)
  return true
}

/** One control plane at a time: the next one finds it done. */
async function begin(tx: Tx): Promise<void> {
  await tx.execute(sql`select set_config('lock_timeout', ${lockWait}, true)`)
  await tx.execute(sql`select pg_advisory_xact_lock(${lock})`)
}

async function exists(tx: Tx, name: string): Promise<boolean> {
  const [row] = (await tx.execute(sql`select to_regclass(${name}) is not null as there`)) as unknown as {
    there: boolean
  }[]
  return row!.there
}

async function tenantsOf(db: Database): Promise<string[]> {
  const rows = await db.withInstallation((tx) => tx.execute(sql`select tenant from log_state`))
  return (rows as unknown as { tenant: string }[]).map(({ tenant }) => tenant)
}

/** The partitions there are, the default one left out. Their names say what they hold. */
export async function spansOf(db: Database, of: Partitioned): Promise<Span[]> {
  const rows = (await db.withOwner((tx) =>
    tx.execute(sql`
      select part.relname as name from pg_inherits join pg_class as part on part.oid = inhrelid
      where inhparent = ${of.table}::regclass order by 1`),
  )) as unknown as { name: string }[]
  return rows.flatMap(({ name }) => {
    const [, year, month, day] = /_(\d{4})_(\d{2})(?:_(\d{2}))?$/.exec(name) ?? []
    return year ? [spanAt(of, Date.UTC(Number(year), Number(month) - 1, Number(day ?? 1)), 0)] : []
  })
}

/** The span that a moment lies in, or one so many steps later; UTC. */
function spanAt({ table, length }: Partitioned, ms: number, step: number): Span {
  const date = new Date(ms)
  const [year, month, day] = [date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate()]
  const at = (more: number) =>
    length === 'MONTH' ? Date.UTC(year, month + more, 1) : Date.UTC(year, month, day + more)
  const written = new Date(at(step)).toISOString().slice(0, length === 'MONTH' ? 7 : 10)
  return { name: `${table}_${written.replaceAll('-', '_')}`, fromMs: at(step), toMs: at(step + 1) }
}
