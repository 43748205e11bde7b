import { sql } from 'drizzle-orm'
import { dropPartitions, makePartitions, records, ticks } from '../db/partitions.ts'
import type { Context } from './context.ts'
import { pruneEvents } from './outbox.ts'

export interface RetentionOptions {
  /** How long flight records are kept after they came, at least; null = for good. Whole months are dropped. */
  recordsKeptMs: number | null
  report: (fault: unknown) => void
}

/** A spend stream resumes from a cursor of the last week; an older one begins again from `spend`. */
export const ticksKeptMs = 7 * 86_400_000
/** Key deltas that every kept snapshot contains are of use only to a plane that is just fetching one. */
const deltasKeptMs = 86_400_000
const deltasPerRun = 10_000
const everyMs = 3_600_000

type Keeping = Pick<Context, 'db' | 'clock'>

/** Makes partitions ahead, once before it returns, and forgets what is too old, every hour. Any number of control planes may. */
export async function startRetention(ctx: Keeping, options: RetentionOptions): Promise<{ stop(): Promise<void> }> {
  await makeAhead(ctx).catch(options.report)
  let running = Promise.resolve()
  const run = () => {
    running = running.then(() => tidy(ctx, options.recordsKeptMs)).catch(options.report)
  }
  const timer = setInterval(run, everyMs)
  run()
  return {
    async stop() {
      clearInterval(timer)
      await running
    },
  }
}

async function makeAhead({ db, clock }: Keeping): Promise<void> {
  for (const of of [records, ticks]) await makePartitions(db, of, clock.now())
}

/** One round of it. Each part is short and on its own; what fails is done by the next round. */
export async function tidy(ctx: Keeping, recordsKeptMs: number | null): Promise<void> {
  const nowMs = ctx.clock.now()
  await makeAhead(ctx)
  await dropPartitions(ctx.db, ticks, nowMs - ticksKeptMs)
  if (recordsKeptMs !== null) await dropPartitions(ctx.db, records, nowMs - recordsKeptMs)
  await pruneEvents(ctx)
  await pruneDeltas(ctx)
  await pruneTold(ctx)
}

/** A plane that is older than every kept snapshot is sent a new one, which holds all keys. */
async function pruneDeltas({ db, clock }: Keeping): Promise<void> {
  const before = new Date(clock.now() - deltasKeptMs).toISOString()
  await db.withInstallation((tx) =>
    tx.execute(sql`
      delete from key_delta where (tenant, number) in (
        select key_delta.tenant, number from key_delta
        join (select tenant, min(delta_number) as oldest from snapshot group by tenant) as kept using (tenant)
        where number <= kept.oldest and at < ${before}::timestamptz
        limit ${deltasPerRun})`),
  )
}

/** Deliveries and alerts are kept for people to look back at; what is still open stays. */
const deliveriesKeptMs = 30 * 86_400_000
const alertsKeptMs = 400 * 86_400_000
/** Of each webhook so many wait at most: the oldest of a receiver that is away for long are given up. */
const deliveriesWaitingMax = 10_000
const toldPerRun = 10_000

async function pruneTold({ db, clock }: Keeping): Promise<void> {
  const since = (keptMs: number) => sql`${new Date(clock.now() - keptMs).toISOString()}::timestamptz`
  await db.withInstallation(async (tx) => {
    await tx.execute(sql`
      delete from webhook_delivery where (tenant, id) in (
        select tenant, id from webhook_delivery where at < ${since(deliveriesKeptMs)} limit ${toldPerRun})`)
    await tx.execute(sql`
      delete from alert where (tenant, id) in (
        select tenant, id from alert where resolved_at < ${since(alertsKeptMs)} limit ${toldPerRun})`)
    await tx.execute(sql`
      update webhook_delivery set next_at = null where (tenant, id) in (
        select tenant, id from (
          select tenant, id, row_number() over (partition by tenant, webhook order by id desc) as place
          from webhook_delivery where next_at is not null) as waiting
        where place > ${deliveriesWaitingMax})`)
  })
}
