import { type SQL, sql } from 'drizzle-orm'
import { ringOf, windowAt } from '../../../schema/budget-window.ts'
import { mintId } from '../../../schema/ids.ts'
import type { Tx } from '../../db/database.ts'
import { resource } from '../../db/tables.ts'
import { systemActor } from '../actor.ts'
import { record } from '../audit.ts'
import { periodRule } from '../compile-budgets.ts'
import type { Context } from '../context.ts'
import { rarely } from '../rarely.ts'
import { resourceOf } from '../resources.ts'
import { lockTenant } from '../tenant-lock.ts'
import { type Book, changesOf } from './book.ts'
import { presentCounter } from './counter.ts'
import { settleCounters } from './exceeded.ts'
import { recallLowered } from './lowered.ts'
import { type CounterName, counterKey, counterOf } from './rows.ts'
import { endRecovery } from './standing.ts'
import { declaredOf, isTrue, openBooks, writeChanges } from './store.ts'
import { writeOffLeases } from './write-off.ts'

const everyMs = 5_000
const countersPerRun = 500
const countersPerTransaction = 50

export interface Tending {
  stop(): Promise<void>
}

/**
 * What the ledger does by itself: ends adjustments, ages rings, carries over, gives up lost instances, and asks for money back
 * where a limit was lowered. Everything is decided under its counter's lock and done once, so any number of control planes may.
 */
export async function startTending(ctx: Context, hear: (fault: unknown) => void = () => {}): Promise<Tending> {
  const report = rarely(hear)
  let running = Promise.resolve()
  const run = (work: () => Promise<void>) => {
    running = running.then(work).catch(report)
  }
  const unlisten = await ctx.db.listen('config', (tenant) => {
    if (tenant !== '') run(() => recallLowered(ctx, tenant))
  })
  const timer = setInterval(() => run(() => tend(ctx)), everyMs)
  return {
    async stop() {
      clearInterval(timer)
      await unlisten()
      await running
    },
  }
}

/** One round. What fails is tried by the next one, and keeps nobody else waiting; the first of the faults is thrown at the end. */
export async function tend(ctx: Context): Promise<void> {
  const nowMs = ctx.clock.now()
  const { due, ended, lost, recovering } = await ctx.db.withInstallation(async (tx) => {
    await tx.execute(sql`delete from lease_recall where until_at < ${date(nowMs)}`)
    return {
      due: [...(await withEndedAdjustments(tx, nowMs)), ...(await withExceeded(tx)), ...(await withAged(tx, nowMs))],
      ended: await endedCounters(tx, nowMs),
      lost: await lostInstances(tx, nowMs),
      recovering: (await tx.execute(sql`select tenant from ledger_recovery`)) as unknown as { tenant: string }[],
    }
  })
  const faults: unknown[] = []
  const note = (fault: unknown) => void faults.push(fault)
  for (const [tenant, counters] of perTransaction(due)) await settleCounters(ctx, tenant, counters).catch(note)
  for (const [tenant, counters] of perTransaction(ended)) await closeWindows(ctx, tenant, counters).catch(note)
  for (const { tenant, instance } of lost) await presumeLost(ctx, tenant, instance).catch(note)
  for (const { tenant } of recovering) await recover(ctx, tenant).catch(note)
  if (faults.length > 0) throw faults[0]
}

async function recover(ctx: Context, tenant: string): Promise<void> {
  await ctx.db.withTenant(tenant, async (tx) => {
    if (await endRecovery(tx, tenant)) await ctx.db.notify(tx, 'funds', tenant)
  })
}

type Due = CounterName & { tenant: string }

function* perTransaction(due: Due[]): Generator<[string, CounterName[]]> {
  for (const [tenant, all] of Map.groupBy(due, (counter) => counter.tenant)) {
    const counters = [...new Map(all.map((counter) => [counterKey(counter), counter])).values()]
    for (let at = 0; at < counters.length; at += countersPerTransaction)
      yield [tenant, counters.slice(at, at + countersPerTransaction)]
  }
}

const date = (ms: number) => sql`${new Date(ms).toISOString()}::timestamptz`

const withEndedAdjustments = (tx: Tx, nowMs: number) =>
  dueOf(
    tx,
    sql`select distinct tenant, budget, subject, window_from, window_to from budget_adjustment
      where ended_at is null and expires_at <= ${date(nowMs)} limit ${countersPerRun}`,
  )

async function withExceeded(tx: Tx): Promise<Due[]> {
  return leasesDue(tx, sql`posted > granted - returned and epoch > 0`)
}

/** Rings are computed here, from what is declared; archived budgets' leases age too. */
async function withAged(tx: Tx, nowMs: number): Promise<Due[]> {
  const rows = await tx.select().from(resource).where(sql`kind = 'budget' and spec ->> 'period' = 'ROLLING'`)
  if (rows.length === 0) return []
  const rings = rows.map((row) => {
    const rule = periodRule(resourceOf(row) as Parameters<typeof periodRule>[0])
    return { tenant: row.tenant, budget: row.id, before: ringOf(rule, windowAt(rule, nowMs)).from }
  })
  return leasesDue(
    tx,
    sql`rolling and aged_at is null and exists (
      select from jsonb_to_recordset(${JSON.stringify(rings)}::jsonb) as r(tenant text, budget text, before bigint)
      where r.tenant = lease.tenant and r.budget = lease.budget and lease.window_to <= r.before)`,
  )
}

async function leasesDue(tx: Tx, condition: SQL): Promise<Due[]> {
  const due = await dueOf(
    tx,
    sql`select distinct tenant, budget, subject, rolling, window_from, window_to from lease where ${condition} limit ${countersPerRun}`,
  )
  return due.map(({ tenant, rolling, ...lease }) => ({ ...counterOf({ ...lease, rolling }, undefined), tenant }))
}

/** Windows that are over, and of which nothing is out that could still come back. */
const endedCounters = (tx: Tx, nowMs: number) =>
  dueOf(
    tx,
    sql`select tenant, budget, subject, window_from, window_to from budget_counter c
      where carried_at is null and window_to <= ${nowMs}::bigint and not exists (
        select from lease l where l.tenant = c.tenant and l.budget = c.budget and l.subject = c.subject
          and l.window_from = c.window_from and l.window_to = c.window_to and not l.rolling
          and l.written_off_at is null and l.granted > l.returned + l.posted)
      limit ${countersPerRun}`,
  )

async function dueOf(tx: Tx, query: SQL): Promise<(Due & { rolling: boolean })[]> {
  const rows = (await tx.execute(query)) as unknown as Record<string, string>[]
  return rows.map(({ tenant, budget, subject, window_from, window_to, rolling }) => ({
    ...{ tenant: tenant!, budget: budget!, subject: subject!, from: Number(window_from), to: Number(window_to) },
    rolling: isTrue(rolling),
  }))
}

async function lostInstances(tx: Tx, nowMs: number): Promise<{ tenant: string; instance: string }[]> {
  const rows = await tx.execute(sql`
    select i.tenant, i.id as instance from instance i
    join resource r on r.tenant = i.tenant and r.id = i.data_plane
    where r.spec ->> 'presumeLostAfter' is not null
      and i.last_seen_at < ${date(nowMs)} - (r.spec ->> 'presumeLostAfter')::interval
      and exists (select from lease l where l.tenant = i.tenant and l.instance = i.id and l.epoch > 0
        and l.written_off_at is null and l.granted > l.returned + l.posted)`)
  return rows as unknown as { tenant: string; instance: string }[]
}

async function presumeLost(ctx: Context, tenant: string, instance: string): Promise<void> {
  await ctx.db.withTenant(tenant, async (tx) => {
    await lockTenant(tx, tenant)
    const written = await writeOffLeases(tx, ctx, tenant, { instance })
    const change = { path: ['leases', 'writtenOff'], before: null, after: String(written.length) }
    const targets = [{ id: instance, name: instance, changes: [change] }]
    const reason = 'It was silent for longer than its data plane allows (presumeLostAfter).'
    await record(tx, ctx, systemActor(tenant), { action: 'lease.writeOff', targets, reason })
    await ctx.db.notify(tx, 'records', tenant)
  })
}

/** Closes windows that are over; what is left of them goes into the present one where the budget carries over. */
async function closeWindows(ctx: Context, tenant: string, ended: readonly CounterName[]): Promise<void> {
  await ctx.db.withTenant(tenant, async (tx) => {
    const nowMs = ctx.clock.now()
    const declared = await declaredOf(
      tx,
      tenant,
      ended.map(({ budget }) => budget),
    )
    const successors = ended.flatMap((name) => successorOf(name, declared, nowMs) ?? [])
    const all = new Map([...ended, ...successors].map((name) => [counterKey(name), name]))
    const books = await openBooks(tx, tenant, [...all.values()], { declared, names: [], nowMs })
    for (const name of ended) {
      const successor = successorOf(name, declared, nowMs)
      const amount = books.get(counterKey(name))?.closeWindow()
      if (amount && successor) carry(books.get(counterKey(name))!, books.get(counterKey(successor))!, amount, nowMs)
    }
    await writeChanges(tx, tenant, changesOf(books.values()))
    if (successors.length > 0) await ctx.db.notify(tx, 'funds', tenant)
  })
}

function successorOf(
  { budget, subject }: CounterName,
  declared: Awaited<ReturnType<typeof declaredOf>>,
  nowMs: number,
): CounterName | undefined {
  const known = declared.get(budget)
  return known?.live && known.carryOver ? { budget, subject, ...presentCounter(known.rule, nowMs) } : undefined
}

/** Money moves: what the one gains the other loses. */
function carry(from: Book, to: Book, amount: bigint, nowMs: number): void {
  const row = (book: Book, moved: bigint, reason: string) => {
    const { budget, subject, from: start, to: end } = book.counter
    const window = { budget, subject, from: start, to: end }
    const id = mintId('budgetAdjustment', nowMs)
    const rest = { atMs: nowMs, actor: null, expiresAtMs: null, endedAtMs: null }
    book.adjust({ ...window, id, kind: 'CARRIED', amount: moved, reason, ...rest })
  }
  row(from, -amount, 'carried over into a later window')
  row(to, amount, 'carried over from an earlier window')
}
