import { type SQL, sql } from 'drizzle-orm'
import type { Resource } from '../../../schema/config/index.ts'
import { formatAmount, parseAmount } from '../../../schema/money.ts'
import type { Tx } from '../../db/database.ts'
import { budgetAdjustment, ledgerEntry } from '../../db/tables.ts'
import { periodRule } from '../compile-budgets.ts'
import { resourcesByIds } from '../resources.ts'
import { Book, type Changes } from './book.ts'
import { allTime } from './counter.ts'
import {
  type AdjustmentRow,
  byCounter,
  type CounterName,
  type CounterRow,
  counterKey,
  counterOf,
  type Declared,
  type LeaseName,
  type LeaseRow,
} from './rows.ts'
import { takeOver } from './take-over.ts'

const entriesPerStatement = 1_000

/** Counters that were there when they were last locked: they need not be made. None is ever deleted, but a restore may set back. */
const knownCounters = new Set<string>()
const knownCountersMax = 100_000
const knownKey = (tenant: string, name: CounterName) => `${tenant} ${counterKey(name)}`

/** Budgets as they are declared now, archived ones too. */
export async function declaredOf(tx: Tx, tenant: string, ids: readonly string[]): Promise<Map<string, Declared>> {
  const found = await resourcesByIds(tx, tenant, [...new Set(ids)].sort())
  const budgets = found.filter((one) => one?.kind === 'budget')
  return new Map(budgets.map((budget) => [budget.id, declaredAs(budget)]))
}

export function declaredAs(budget: Resource<'budget'>): Declared {
  const { id, spec, archivedAt } = budget
  const limit = parseAmount(spec.limit.amount)!
  const rest = { carryOver: spec.carryOver, guarded: spec.onExhausted !== 'WARN', live: archivedAt === null }
  return { id, limit, rule: periodRule(budget), ...rest }
}

/** Leases by name, as they are without any lock. */
export async function leasesNamed(tx: Tx, tenant: string, names: readonly LeaseName[]): Promise<LeaseRow[]> {
  if (names.length === 0) return []
  return leasesIn(tx, sql`select lease.* from ${named(names)} join lease on lease.tenant = ${tenant} and ${isNamed}`)
}

/** Leases of an instance under which something is still out. */
export async function unsettledOf(tx: Tx, tenant: string, instance: string, most: number): Promise<LeaseRow[]> {
  return leasesIn(
    tx,
    sql`select * from lease where tenant = ${tenant} and instance = ${instance} and epoch > 0
      and granted <> returned + posted order by budget, subject, window_from, epoch limit ${most}`,
  )
}

interface Opening {
  declared: ReadonlyMap<string, Declared>
  names: readonly LeaseName[]
  nowMs: number
  /** Looks for adjustments that end in any case. */
  ending?: boolean
}

/**
 * Locks counters, in the order that everybody locks them in, makes those that are missing, and loads their books. Of settled
 * leases only those in `names` are loaded.
 */
export async function openBooks(
  tx: Tx,
  tenant: string,
  counters: readonly CounterName[],
  { declared, names, nowMs, ending }: Opening,
): Promise<Map<string, Book>> {
  if (counters.length === 0) return new Map()
  const { made, rows } = await lockOrMake(tx, tenant, counters, declared, nowMs)
  const leases = Map.groupBy(await openLeases(tx, tenant, counters, names), (row) =>
    counterKey(counterOf(row, undefined)),
  )
  // Where adjustments add up to nothing none is looked for but by the job, which comes by within seconds.
  const mayEnd = ending || rows.some(({ adjustments }) => adjustments !== 0n)
  const adjustments = Map.groupBy(mayEnd ? await endingAdjustments(tx, tenant, counters) : [], counterKey)
  const books = new Map<string, Book>()
  for (const counter of rows) {
    const key = counterKey(counter)
    const held = { leases: leases.get(key) ?? [], adjustments: adjustments.get(key) ?? [] }
    const book = new Book({ declared: declared.get(counter.budget), counter, ...held }, nowMs)
    books.set(key, book)
    if (made.has(key)) takeOver(book, await overlapping(tx, tenant, counter), nowMs)
  }
  return books
}

async function lockOrMake(
  tx: Tx,
  tenant: string,
  counters: readonly CounterName[],
  declared: ReadonlyMap<string, Declared>,
  nowMs: number,
): Promise<{ made: Set<string>; rows: CounterRow[] }> {
  const isKnown = counters.every((name) => knownCounters.has(knownKey(tenant, name)))
  const made = isKnown ? new Set<string>() : await makeCounters(tx, tenant, counters, declared, nowMs)
  const rows = await lockCounters(tx, tenant, counters)
  if (rows.length < counters.length) {
    for (const name of counters) knownCounters.delete(knownKey(tenant, name))
    return lockOrMake(tx, tenant, counters, declared, nowMs)
  }
  if (knownCounters.size + rows.length > knownCountersMax) knownCounters.clear()
  // What this transaction made may not be kept.
  for (const row of rows) if (!made.has(counterKey(row))) knownCounters.add(knownKey(tenant, row))
  return { made, rows }
}

/**
 * In the order of their keys, so that two transactions that make the same ones do not wait for each other in a circle. One that is made
 * after its window's end, by a restore or a fork, is closed at once: nobody was granted from it, and it carries nothing over.
 */
async function makeCounters(
  tx: Tx,
  tenant: string,
  counters: readonly CounterName[],
  declared: ReadonlyMap<string, Declared>,
  nowMs: number,
): Promise<Set<string>> {
  const rows = counters.map(({ budget, subject, from, to }) => ({
    ...{ budget, subject, from, to },
    limit: formatAmount(declared.get(budget)?.limit ?? 0n),
  }))
  const at = sql`${new Date(nowMs).toISOString()}::timestamptz`
  const made = await tx.execute(sql`
    insert into budget_counter (tenant, budget, subject, window_from, window_to, created_at, limit_amount, carried_at)
    select ${tenant}, budget, subject, "from", "to", ${at}, "limit", case when "to" <= ${nowMs}::bigint then ${at} end
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as n(budget text, subject text, "from" bigint, "to" bigint, "limit" numeric)
    order by budget, subject, "from", "to"
    on conflict do nothing
    returning budget, subject, window_from, window_to`)
  return new Set((made as unknown as Columns[]).map((row) => counterKey(nameOf(row))))
}

async function lockCounters(tx: Tx, tenant: string, counters: readonly CounterName[]): Promise<CounterRow[]> {
  const rows = await tx.execute(sql`
    select c.* from ${namedCounters(counters)}
    join budget_counter c on c.tenant = ${tenant} and c.budget = n.budget and c.subject = n.subject
      and c.window_from = n."from" and c.window_to = n."to"
    order by c.budget, c.subject, c.window_from, c.window_to
    for update of c`)
  return (rows as unknown as Columns[]).map(counterRow).sort(byCounter)
}

async function openLeases(
  tx: Tx,
  tenant: string,
  counters: readonly CounterName[],
  names: readonly LeaseName[],
): Promise<LeaseRow[]> {
  const open = sql`select l.* from ${namedCounters(counters)}
    join lease l on l.tenant = ${tenant} and l.budget = n.budget and l.subject = n.subject
      and (l.granted <> l.returned + l.posted or l.overrun <> 0 or (l.rolling and l.aged_at is null))
      and case when n."from" = ${allTime.from} then l.rolling
        else not l.rolling and l.window_from = n."from" and l.window_to = n."to" end`
  if (names.length === 0) return leasesIn(tx, open)
  const settled = sql`select lease.* from ${named(names)} join lease on lease.tenant = ${tenant} and ${isNamed}`
  return leasesIn(tx, sql`${open} union ${settled}`)
}

async function endingAdjustments(tx: Tx, tenant: string, counters: readonly CounterName[]): Promise<AdjustmentRow[]> {
  const rows = await tx.execute(sql`
    select a.* from ${namedCounters(counters)}
    join budget_adjustment a on a.tenant = ${tenant} and a.budget = n.budget and a.subject = n.subject
      and a.window_from = n."from" and a.window_to = n."to"
    where a.expires_at is not null and a.ended_at is null`)
  return (rows as unknown as Columns[]).map(adjustmentRow)
}

/** Leases of other windows of the same budget and subject that reach into this one. */
async function overlapping(tx: Tx, tenant: string, counter: CounterName): Promise<LeaseRow[]> {
  const { budget, subject, from, to } = counter
  const other =
    from === allTime.from ? sql`not rolling` : sql`(rolling or window_from <> ${from} or window_to <> ${to})`
  return leasesIn(
    tx,
    sql`select * from lease where tenant = ${tenant} and budget = ${budget} and subject = ${subject}
      and ${other} and window_to > ${from}::bigint and window_from < ${to}::bigint`,
  )
}

/** Writes what a transaction changed. The counters of all of it are locked by this transaction. */
export async function writeChanges(tx: Tx, tenant: string, changes: Changes): Promise<void> {
  await writeSums(tx, tenant, changes)
  await writePosted(tx, tenant, changes.posted)
  for (const row of changes.adjustments) await writeAdjustment(tx, tenant, row)
  const entries = changes.entries.map((entry) => entryColumns(tenant, entry))
  for (let at = 0; at < entries.length; at += entriesPerStatement)
    await tx.insert(ledgerEntry).values(entries.slice(at, at + entriesPerStatement))
}

/** Counters and leases in one statement; leases in the order in which batches of records lock them. */
async function writeSums(tx: Tx, tenant: string, { counters, leases }: Changes): Promise<void> {
  if (counters.length === 0) return
  await tx.execute(sql`
    with c as (${updateCounters(tenant, counters)})
    insert into lease (tenant, budget, subject, window_from, window_to, instance, epoch, rolling, created_at,
      granted, returned, overrun, aged, aged_at, written_off_at)
    select ${tenant}, budget, subject, "from", "to", instance, epoch, rolling, created, granted, returned, overrun, aged, aged_at, written
    from jsonb_to_recordset(${JSON.stringify(leases.map(leaseColumns))}::jsonb) as n(budget text, subject text, "from" bigint, "to" bigint,
      instance text, epoch bigint, rolling boolean, created timestamptz, granted numeric, returned numeric, overrun numeric,
      aged numeric, aged_at timestamptz, written timestamptz)
    order by budget, subject, "from", "to", instance, epoch
    on conflict (tenant, budget, subject, window_from, window_to, instance, epoch) do update set
      granted = excluded.granted, returned = excluded.returned, overrun = excluded.overrun, aged = excluded.aged,
      aged_at = excluded.aged_at, written_off_at = excluded.written_off_at`)
}

function updateCounters(tenant: string, counters: readonly CounterRow[]): SQL {
  const rows = counters.map(({ limit, adjustments, committed, overruns, released, carriedAtMs, ...name }) => ({
    ...name,
    ...amounts({ limit, adjustments, committed, overruns, released }),
    carried: dateText(carriedAtMs),
  }))
  return sql`
    update budget_counter c set limit_amount = n."limit", adjustments = n.adjustments, committed = n.committed,
      overruns = n.overruns, released = n.released, carried_at = n.carried
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as n(budget text, subject text, "from" bigint, "to" bigint,
      "limit" numeric, adjustments numeric, committed numeric, overruns numeric, released numeric, carried timestamptz)
    where c.tenant = ${tenant} and c.budget = n.budget and c.subject = n.subject
      and c.window_from = n."from" and c.window_to = n."to"`
}

const leaseColumns = ({
  granted,
  returned,
  overrun,
  aged,
  createdAtMs,
  agedAtMs,
  writtenOffAtMs,
  posted: _,
  ...name
}: LeaseRow) => ({
  ...name,
  ...amounts({ granted, returned, overrun, aged }),
  ...{ created: dateText(createdAtMs), aged_at: dateText(agedAtMs), written: dateText(writtenOffAtMs) },
})

async function writePosted(tx: Tx, tenant: string, posted: Changes['posted']) {
  for (const { lease: name, amount } of posted)
    await tx.execute(sql`
      update lease set posted = posted + ${formatAmount(amount)}::numeric
      from ${named([name])} where lease.tenant = ${tenant} and ${isNamed}`)
}

async function writeAdjustment(tx: Tx, tenant: string, row: AdjustmentRow) {
  const { id, budget, subject, from, to, kind, amount, reason, actor, atMs, expiresAtMs, endedAtMs } = row
  const ended = endedAtMs === null ? null : new Date(endedAtMs)
  await tx
    .insert(budgetAdjustment)
    .values({
      ...{ tenant, id, budget, subject, windowFrom: from, windowTo: to, kind, reason, actor: actor ?? null },
      ...{ amount: formatAmount(amount), at: new Date(atMs), endedAt: ended },
      expiresAt: expiresAtMs === null ? null : new Date(expiresAtMs),
    })
    .onConflictDoUpdate({ target: [budgetAdjustment.tenant, budgetAdjustment.id], set: { endedAt: ended } })
}

const entryColumns = (
  tenant: string,
  { kind, budget, subject, from, to, instance, epoch, amount, atMs }: Changes['entries'][number],
) => ({
  ...{ tenant, kind, budget, subject, windowFrom: from, windowTo: to, instance, epoch },
  ...{ amount: formatAmount(amount), at: new Date(atMs) },
})

type Columns = Record<string, string | null>

const namedCounters = (names: readonly CounterName[]): SQL =>
  sql`jsonb_to_recordset(${JSON.stringify(names.map(({ budget, subject, from, to }) => ({ budget, subject, from, to })))}::jsonb)
    as n(budget text, subject text, "from" bigint, "to" bigint)`

/** Rows `n` of lease names, to be joined with `isNamed`. */
export function named(names: readonly LeaseName[]): SQL {
  const rows = names.map(({ budget, subject, from, to, instance, epoch }) => ({
    budget,
    subject,
    from,
    to,
    instance,
    epoch,
  }))
  return sql`jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
    as n(budget text, subject text, "from" bigint, "to" bigint, instance text, epoch bigint)`
}

export const isNamed: SQL = sql`lease.budget = n.budget and lease.subject = n.subject and lease.window_from = n."from"
  and lease.window_to = n."to" and lease.instance = n.instance and lease.epoch = n.epoch`

/** Runs a query whose rows are leases. */
export async function leasesIn(tx: Tx, query: SQL): Promise<LeaseRow[]> {
  return ((await tx.execute(query)) as unknown as Columns[]).map(leaseRow)
}

const nameOf = (row: Columns): CounterName => ({
  ...{ budget: row.budget!, subject: row.subject! },
  ...{ from: Number(row.window_from), to: Number(row.window_to) },
})

function counterRow(row: Columns): CounterRow {
  const { limit_amount, adjustments, committed, overruns, released, carried_at } = row
  return {
    ...nameOf(row),
    ...{ limit: amountOf(limit_amount), adjustments: amountOf(adjustments), committed: amountOf(committed) },
    ...{ overruns: amountOf(overruns), released: amountOf(released), carriedAtMs: msOf(carried_at) },
  }
}

function leaseRow(row: Columns): LeaseRow {
  return {
    ...{ ...nameOf(row), instance: row.instance!, epoch: Number(row.epoch), rolling: isTrue(row.rolling) },
    ...{ granted: amountOf(row.granted), returned: amountOf(row.returned), posted: amountOf(row.posted) },
    ...{ overrun: amountOf(row.overrun), aged: amountOf(row.aged), createdAtMs: msOf(row.created_at)! },
    ...{ agedAtMs: msOf(row.aged_at), writtenOffAtMs: msOf(row.written_off_at) },
  }
}

function adjustmentRow(row: Columns): AdjustmentRow {
  return {
    ...{ ...nameOf(row), id: row.id!, kind: row.kind as AdjustmentRow['kind'], amount: amountOf(row.amount) },
    ...{ reason: row.reason!, actor: row.actor ?? null, atMs: msOf(row.at)! },
    ...{ expiresAtMs: msOf(row.expires_at), endedAtMs: msOf(row.ended_at) },
  }
}

const amountOf = (text: string | null | undefined) => parseAmount(text!)!
const msOf = (text: string | null | undefined) => (text === null || text === undefined ? null : Date.parse(text))
/** The two drivers write booleans each in their way. */
export const isTrue = (value: unknown) => value === true || value === 't' || value === 'true'
const dateText = (ms: number | null) => (ms === null ? null : new Date(ms).toISOString())
const amounts = (of: Record<string, bigint>) =>
  Object.fromEntries(Object.entries(of).map(([name, amount]) => [name, formatAmount(amount)]))
