import { and, eq, sql } from 'drizzle-orm'
import type { FlightRecord } from '../../schema/flight-record.ts'
import type { Tx } from '../db/database.ts'
import { logState, outboxEvent } from '../db/tables.ts'
import { markPosted, tellBudgets, tenantsToTell } from './budgets/telling.ts'
import type { Context } from './context.ts'
import { lockSpaces } from './lock-spaces.ts'
import { tellSilent } from './planes.ts'
import { rarely } from './rarely.ts'
import { addToRollups } from './rollups.ts'
import { Bell } from './subscription.ts'

export interface Sequencer {
  /** Numbers everything that is pending now; for tests and an orderly stop. */
  drain(): Promise<void>
  stop(): Promise<void>
}

const auditsPerRun = 500
/** One run's records are one tick: at most so many rows of it. */
export const recordsPerRun = 1_000
const eventsPerRun = 1_000
const idleMs = 250
/** A notification may be lost with its connection: every tenant is looked at this often. */
const sweepMs = 5_000
const silenceMs = 5_000
/** Balances are told at most so often; looking for what changed takes at most a twentieth of the time. */
const tellMs = 1_000
const tellRest = 20
const restMsMax = 5_000

type Sequencing = Pick<Context, 'db' | 'clock'>

/**
 * Numbers pending audit entries, records and events of every tenant, woken by notifications and every 250 ms while there is
 * work. `report` is told of faults; what failed stays pending and is tried again.
 */
export async function startSequencer(ctx: Context, hear: (fault: unknown) => void = () => {}): Promise<Sequencer> {
  const report = rarely(hear)
  const work = new Work(ctx, report)
  const unlisten = await ctx.db.listen('records', (tenant) => work.wake(tenant))
  const silence = () => void tellSilent(ctx).catch(report)
  const timers = [
    setInterval(() => work.again(), idleMs),
    setInterval(() => work.wake(''), sweepMs),
    setInterval(silence, silenceMs),
  ]
  const budgets = watchBudgets(ctx, work, report)
  work.wake('')
  return {
    drain: () => work.drain(),
    async stop() {
      for (const timer of timers) clearInterval(timer)
      await budgets.stop()
      await unlisten()
      await work.stop()
    },
  }
}

/** Wakes the tenants whose balances changed: a grant is no record. */
function watchBudgets(ctx: Sequencing, work: Work, report: (fault: unknown) => void): { stop(): Promise<void> } {
  const over = new Bell()
  let stopped = false
  const watching = (async () => {
    for (let restMs = tellMs; ; ) {
      await over.wait(restMs)
      if (stopped) return
      const since = performance.now()
      const tenants = await tenantsToTell(ctx).catch((fault: unknown): string[] => {
        report(fault)
        return []
      })
      for (const tenant of tenants) work.wake(tenant)
      restMs = Math.max(tellMs, tellRest * (performance.now() - since))
    }
  })()
  return {
    async stop() {
      stopped = true
      over.ring()
      await watching
    },
  }
}

/** Which tenants have something to number, and the one run that is under way. */
class Work {
  readonly #ctx: Sequencing
  readonly #report: (fault: unknown) => void
  readonly #dirty = new Set<string>()
  #everyone = false
  #running: Promise<void> | undefined
  /** More came while a run was under way, or a run took its fill: do not wait for the timer. */
  #more = false
  #stopped = false
  /** After a fault the next try waits, twice as long each time. */
  #faults = 0
  #restUntilMs = 0
  /** Tenants that could not be worked on: they rest by themselves, and nobody waits for them. */
  readonly #faulty = new Map<string, { faults: number; untilMs: number }>()

  constructor(ctx: Sequencing, report: (fault: unknown) => void) {
    this.#ctx = ctx
    this.#report = report
  }

  wake(tenant: string) {
    if (tenant === '') this.#everyone = true
    else this.#dirty.add(tenant)
    this.#more = true
    this.#start()
  }

  again() {
    if (this.#pending()) this.#start()
  }

  async drain() {
    await this.#running
    this.#everyone = true
    while (this.#pending()) {
      const faults = await this.#round()
      if (faults.length > 0) throw faults[0]
    }
  }

  async stop() {
    this.#stopped = true
    await this.#running
  }

  #pending = () => this.#everyone || this.#dirty.size > 0

  #start() {
    if (this.#running || this.#stopped || performance.now() < this.#restUntilMs) return
    this.#more = false
    this.#running = this.#round()
      .then((faults) => {
        this.#faults = 0
        for (const fault of faults) this.#report(fault)
      })
      .catch((fault: unknown) => {
        this.#everyone = true
        this.#more = false
        this.#restUntilMs = performance.now() + Math.min(restMsMax, idleMs * 2 ** this.#faults++)
        this.#report(fault)
      })
      .finally(() => {
        this.#running = undefined
        if (this.#more) this.#start()
      })
  }

  /** Answers what went wrong with single tenants. */
  async #round(): Promise<unknown[]> {
    if (this.#everyone) {
      this.#everyone = false
      for (const tenant of await pendingTenants(this.#ctx)) this.#dirty.add(tenant)
    }
    const tenants = [...this.#dirty]
    this.#dirty.clear()
    const faults: unknown[] = []
    for (const tenant of tenants) {
      if (performance.now() < (this.#faulty.get(tenant)?.untilMs ?? 0)) continue
      try {
        const outcome = await numberPending(this.#ctx, tenant)
        this.#faulty.delete(tenant)
        if (outcome !== 'DONE') this.#dirty.add(tenant)
        if (outcome === 'MORE') this.#more = true
      } catch (fault) {
        this.#rest(tenant)
        faults.push(fault)
      }
    }
    return faults
  }

  #rest(tenant: string) {
    const { faults } = this.#faulty.get(tenant) ?? { faults: 0 }
    const restMs = Math.min(restMsMax, idleMs * 2 ** faults)
    this.#faulty.set(tenant, { faults: faults + 1, untilMs: performance.now() + restMs })
    if (!this.#stopped) setTimeout(() => this.wake(tenant), restMs).unref()
  }
}

async function pendingTenants(ctx: Sequencing): Promise<string[]> {
  const rows = await ctx.db.withInstallation((tx) =>
    tx.execute(sql`
      select tenant from audit_entry where number is null
      union select tenant from flight_record where number is null
      union select tenant from outbox_event where number is null`),
  )
  return (rows as unknown as { tenant: string }[]).map(({ tenant }) => tenant)
}

/**
 * One run for one tenant, in one transaction: audit entries first, each with its events, then records in the order of their
 * chains, then events that belong to no entry. BUSY: another control plane is at it. MORE: there was more than one run takes.
 */
export async function numberPending(ctx: Sequencing, tenant: string): Promise<'DONE' | 'MORE' | 'BUSY'> {
  return ctx.db.withTenant(tenant, async (tx) => {
    if (!(await tryLock(tx, tenant))) return 'BUSY'
    const [state] = await tx.select().from(logState).where(eq(logState.tenant, tenant)).for('update')
    if (!state) return 'DONE'
    const { lastNumber, lastSub } = state
    const audits = await numberAudits(tx, tenant, lastNumber)
    const afterAudits = lastNumber + audits
    const records = await numberRecords(tx, tenant, afterAudits)
    const end = afterAudits + records.length
    if (records.length > 0) {
      await addToRollups(tx, tenant, records, { first: afterAudits + 1, last: end, at: new Date(ctx.clock.now()) })
      await markPosted(tx, tenant, records)
    }
    await tellBudgets(tx, tenant, ctx.clock.now())
    const sub = await placeEvents(tx, tenant, { lastNumber, lastSub, end })
    if (end === lastNumber && sub === lastSub) return 'DONE'
    await tx.update(logState).set({ lastNumber: end, lastSub: sub }).where(eq(logState.tenant, tenant))
    await ctx.db.notify(tx, 'log', tenant)
    return audits === auditsPerRun || records.length === recordsPerRun ? 'MORE' : 'DONE'
  })
}

async function tryLock(tx: Tx, tenant: string): Promise<boolean> {
  const [row] = (await tx.execute(
    sql`select pg_try_advisory_xact_lock(${lockSpaces.numbering}, hashtext(${tenant})) as held`,
  )) as unknown as { held: boolean }[]
  return row!.held
}

/** Audit entries come in the order of their sequence, and so without a gap: the tenant's row was locked when it was given. */
async function numberAudits(tx: Tx, tenant: string, last: number): Promise<number> {
  const rows = await tx.execute(sql`
    update audit_entry set number = ${last}::bigint + pending.place
    from (select sequence, row_number() over (order by sequence) as place
          from (select sequence from audit_entry where tenant = ${tenant} and number is null
                order by sequence limit ${auditsPerRun}) as next) as pending
    where audit_entry.tenant = ${tenant} and audit_entry.sequence = pending.sequence
    returning audit_entry.sequence`)
  return (rows as unknown as unknown[]).length
}

/** By arrival of their batch, then by sequence: within a chain that is the chain's order. */
async function numberRecords(tx: Tx, tenant: string, last: number): Promise<FlightRecord[]> {
  const rows = await tx.execute(sql`
    update flight_record set number = ${last}::bigint + pending.place
    from (select instance, epoch, sequence, received_at, row_number() over (order by arrival, sequence) as place
          from (select instance, epoch, arrival, sequence, received_at from flight_record where tenant = ${tenant} and number is null
                order by arrival, sequence limit ${recordsPerRun}) as next) as pending
    where flight_record.tenant = ${tenant} and flight_record.instance = pending.instance
      and flight_record.epoch = pending.epoch and flight_record.sequence = pending.sequence
      and flight_record.received_at = pending.received_at
    returning flight_record.number, flight_record.body`)
  const numbered = rows as unknown as { number: string; body: string }[]
  numbered.sort((a, b) => Number(a.number) - Number(b.number))
  return numbered.map(({ body }) => JSON.parse(body) as FlightRecord)
}

/**
 * Gives events their place: right behind the audit entry they belong to, else behind everything. Answers the `sub` at which
 * the log's end now stands.
 */
async function placeEvents(
  tx: Tx,
  tenant: string,
  { lastNumber, lastSub, end }: { lastNumber: number; lastSub: number; end: number },
): Promise<number> {
  await tx.execute(sql`
    update outbox_event set number = placed.number, sub = placed.sub
    from (select event.id, entry.number, row_number() over (partition by event.audit_sequence order by event.id) as sub
          from outbox_event as event
          join audit_entry as entry on entry.tenant = event.tenant and entry.sequence = event.audit_sequence
          where event.tenant = ${tenant} and event.number is null and entry.number is not null) as placed
    where outbox_event.tenant = ${tenant} and outbox_event.id = placed.id`)
  const [taken] = await tx
    .select({ sub: sql<string | null>`max(${outboxEvent.sub})` })
    .from(outboxEvent)
    .where(and(eq(outboxEvent.tenant, tenant), eq(outboxEvent.number, end)))
  const base = Math.max(Number(taken?.sub ?? 0), end === lastNumber ? lastSub : 0)
  const late = await tx.execute(sql`
    update outbox_event set number = ${end}::bigint, sub = ${base}::bigint + pending.place
    from (select id, row_number() over (order by id) as place
          from (select id from outbox_event where tenant = ${tenant} and number is null and audit_sequence is null
                order by id limit ${eventsPerRun}) as next) as pending
    where outbox_event.tenant = ${tenant} and outbox_event.id = pending.id
    returning outbox_event.id`)
  return base + (late as unknown as unknown[]).length
}
