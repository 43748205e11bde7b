import { and, asc, eq, getTableColumns, gte, inArray, lte, sql } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import { chainStart, type FlightRecord, recordHash } from '../../schema/flight-record.ts'
import { type ChainHead, recordsPerBatchMax } from '../../schema/link.ts'
import type { Tx } from '../db/database.ts'
import { chainHead, flightRecord } from '../db/tables.ts'
import { systemActor } from './actor.ts'
import { raiseIncident } from './alerts/incidents.ts'
import { record } from './audit.ts'
import type { Context } from './context.ts'
import { settleExceeded } from './ledger/exceeded.ts'
import { takeFork } from './ledger/fork.ts'
import { lockPosted, post } from './ledger/postings.ts'
import type { LeaseRow } from './ledger/rows.ts'
import { isUnheard } from './ledger/standing.ts'
import { findInstance, findSender, type LinkedInstance } from './planes.ts'
import { readRecord } from './record-shape.ts'
import { resourcesByIds } from './resources.ts'
import { lockTenant } from './tenant-lock.ts'

export interface RecordBatch {
  tenant: string
  epoch: number
  /** Sequence of the first record. */
  from: number
  /** Canonical texts, in order and without a gap. */
  records: string[]
}

export type Accepted =
  | { head: ChainHead }
  /** `head` says where to go on; null = stop sending this chain, it is quarantined. */
  | { refused: true; head: ChainHead | null; reason: string }

type Row = typeof flightRecord.$inferInsert
type HeadRow = typeof chainHead.$inferSelect
/** With the fleet that its instance is of. */
type OwnHead = HeadRow & { dataPlane: string }

/** Takes a batch of one chain if it continues what is there. What is there already is compared and skipped. */
export async function acceptRecords(ctx: Context, instance: string, batch: RecordBatch): Promise<Accepted> {
  const sender = await findSender(ctx, instance, batch.tenant)
  if (!sender) return stop('this instance serves no such tenant')
  if (batch.epoch < 1 || batch.epoch > sender.epoch) return stop(`epoch ${batch.epoch} was never opened`)
  if (batch.records.length > recordsPerBatchMax) return stop(`a batch holds at most ${recordsPerBatchMax} records`)
  const { accepted, exceeded, records } = await acceptHeard(ctx, sender, batch)
  // What fails here is found by whoever next looks at these counters, and by the job that tends them.
  if (exceeded.length > 0) await settleExceeded(ctx, batch.tenant, exceeded, records).catch(() => undefined)
  return accepted
}

/**
 * A lease that is not known may only not be told yet: after a restore an instance says at the beginning of its link what it holds,
 * and its records may overtake that. They are held for a moment rather than called foreign.
 */
async function acceptHeard(ctx: Context, sender: Sender, batch: RecordBatch): Promise<Taken> {
  for (let tries = 0; ; tries++) {
    const isLast = tries === unheardTries
    const taken = await ctx.db.withTenant(batch.tenant, (tx) => accept(tx, ctx, sender, batch, isLast))
    if (taken !== 'UNHEARD') return taken
    await new Promise((resolve) => setTimeout(resolve, unheardMs))
  }
}

const unheardTries = 12
const unheardMs = 250
type Sender = Pick<LinkedInstance, 'id' | 'dataPlane'>

interface Taken {
  accepted: Accepted
  /** Leases of which more was posted than they held. */
  exceeded: LeaseRow[]
  records: FlightRecord[]
}

const nothingTaken = (accepted: Accepted): Taken => ({ accepted, exceeded: [], records: [] })

const stop = (reason: string): Accepted => ({ refused: true, head: null, reason })

async function accept(
  tx: Tx,
  ctx: Context,
  sender: Sender,
  batch: RecordBatch,
  isLast: boolean,
): Promise<Taken | 'UNHEARD'> {
  const head = await lockHead(tx, ctx, sender.id, batch)
  if (head.quarantinedAt) return nothingTaken(stop(head.reason ?? 'this chain is quarantined'))
  if (batch.from > head.sequence + 1) {
    const reason = `the batch begins at ${batch.from}, the chain ends at ${head.sequence}`
    return nothingTaken({ refused: true, head: headOf(head), reason })
  }
  const known = head.sequence + 1 - batch.from
  const differs = await differingOverlap(tx, head, batch, known)
  if (differs !== undefined) {
    const quarantined = { ...head, dataPlane: sender.dataPlane }
    const reason = `record ${differs} differs from the one that was delivered before`
    return nothingTaken(await quarantine(tx, ctx, quarantined, reason, batch.records.slice(differs - batch.from)))
  }
  const [tenant] = await resourcesByIds(tx, batch.tenant, [batch.tenant])
  const { currency } = (tenant as Resource<'tenant'>).spec
  const followed = follow(head, batch, Math.max(known, 0), { currency, dataPlane: sender.dataPlane })
  return take(tx, ctx, { ...head, dataPlane: sender.dataPlane }, followed, batch, isLast)
}

/** Inserts what continues the chain, with what it posts; what does not quarantines the chain. */
async function take(
  tx: Tx,
  ctx: Context,
  head: OwnHead,
  followed: Followed,
  batch: RecordBatch,
  isLast: boolean,
): Promise<Taken | 'UNHEARD'> {
  const { tenant, instance } = head
  // The order of locks: the tenant's row, which an audit entry needs, before leases.
  if (followed.bad) await lockTenant(tx, tenant)
  const all = followed.good.map(({ given }) => given)
  const posted = await lockPosted(tx, tenant, instance, all, ctx.clock.now())
  if (posted.bad && !isLast && (await isUnheard(tx, tenant, instance))) return 'UNHEARD'
  const good = followed.good.slice(0, posted.count)
  const bad = posted.bad ?? followed.bad
  const end = good.at(-1)?.row
  if (end) {
    const rows = good.map(({ row }) => row)
    await append(tx, ctx, head, rows)
  }
  const exceeded = await post(tx, tenant, posted)
  const after = end ? { ...head, sequence: end.sequence, hash: end.hash } : head
  const isFork = followed.isFork && bad === followed.bad
  const forked = isFork ? batch.records.slice(after.sequence + 1 - batch.from) : []
  const accepted = bad ? await quarantine(tx, ctx, after, bad, forked) : { head: headOf(after) }
  return { accepted, exceeded, records: good.map(({ given }) => given) }
}

interface Followed {
  good: { row: Row; given: FlightRecord }[]
  bad?: string
  /** The first record that is new continues another history than the one that is here. */
  isFork?: boolean
}

/** The chain's head, locked: batches of one chain are taken one after the other. */
async function lockHead(tx: Tx, ctx: Context, instance: string, batch: RecordBatch): Promise<HeadRow> {
  const { tenant, epoch } = batch
  const updatedAt = new Date(ctx.clock.now())
  await tx
    .insert(chainHead)
    .values({ tenant, instance, epoch, sequence: -1, hash: chainStart, updatedAt })
    .onConflictDoNothing()
  const place = and(eq(chainHead.tenant, tenant), eq(chainHead.instance, instance), eq(chainHead.epoch, epoch))
  const [row] = await tx.select().from(chainHead).where(place).for('update')
  return row!
}

const headOf = ({ tenant, epoch, sequence, hash }: HeadRow): ChainHead => ({ tenant, epoch, sequence, hash })

/** The first sequence of which another record was delivered before. */
async function differingOverlap(tx: Tx, head: HeadRow, batch: RecordBatch, known: number): Promise<number | undefined> {
  if (known <= 0 || batch.records.length === 0) return undefined
  const stored = await tx
    .select({ sequence: flightRecord.sequence, hash: flightRecord.hash })
    .from(flightRecord)
    .where(
      and(
        ...ofChain(head),
        gte(flightRecord.sequence, batch.from),
        lte(flightRecord.sequence, batch.from + batch.records.length - 1),
      ),
    )
    .orderBy(asc(flightRecord.sequence))
  return stored.find(({ sequence, hash }) => recordHash(batch.records[sequence - batch.from]!) !== hash)?.sequence
}

const ofChain = ({ tenant, instance, epoch }: HeadRow) => [
  eq(flightRecord.tenant, tenant),
  eq(flightRecord.instance, instance),
  eq(flightRecord.epoch, epoch),
]

/** The records that truly continue the chain, up to the first that does not. */
function follow(
  head: HeadRow,
  batch: RecordBatch,
  skip: number,
  { currency, dataPlane }: { currency: string; dataPlane: string },
): Followed {
  const good: Followed['good'] = []
  let { sequence, hash } = head
  for (const body of batch.records.slice(skip)) {
    const place = `record ${sequence + 1}`
    const given = readRecord(body)
    if ('malformed' in given) return { good, bad: `${place} is malformed: ${given.malformed}` }
    if (given.tenant !== head.tenant || given.instance !== head.instance || given.epoch !== head.epoch)
      return { good, bad: `${place} is of another chain` }
    if (given.dataPlane !== dataPlane) return { good, bad: `${place} names another data plane` }
    if (given.sequence !== sequence + 1) return { good, bad: `${place} says it is record ${given.sequence}` }
    if (given.previousHash !== hash) {
      const bad = `${place} does not continue the chain that was delivered`
      return { good, bad, isFork: good.length === 0 && sequence >= 0 }
    }
    if (given.currency !== currency) return { good, bad: `${place} is in ${given.currency} instead of ${currency}` }
    if (JSON.stringify(given) !== body) return { good, bad: `${place} is not in canonical form` }
    sequence = given.sequence
    hash = recordHash(body)
    good.push({ row: rowOf(given, body, hash), given })
  }
  return { good }
}

function rowOf(given: FlightRecord, body: string, hash: string): Row {
  const { tenant, instance, epoch, sequence, id, team, project, principal, apiKey, provider, model, aliasId } = given
  const { alias, tier, dataPlane, traceId, outcome, refusal, requestLabels, cost } = given
  return {
    ...{
      tenant,
      instance,
      epoch,
      sequence,
      id,
      hash,
      body,
      arrival: 0,
      receivedAt: new Date(0),
      at: new Date(given.at),
    },
    ...{ team, project, principal, apiKey, provider, model, aliasId, alias, tier, dataPlane },
    ...{ traceId, outcome, refusal, requestLabels, cost },
  }
}

async function append(tx: Tx, ctx: Context, head: HeadRow, rows: Row[]) {
  const [next] = (await tx.execute(sql`select nextval('record_arrival') as arrival`)) as unknown as {
    arrival: string
  }[]
  const arrival = Number(next!.arrival)
  const receivedAt = new Date(ctx.clock.now())
  const written = rows.map((row) => columnsOf({ ...row, arrival, receivedAt }))
  await tx.execute(sql`insert into ${flightRecord}
    select * from jsonb_populate_recordset(null::flight_record, ${JSON.stringify(written)}::jsonb)`)
  const { sequence, hash } = rows.at(-1)!
  await tx
    .update(chainHead)
    .set({ sequence, hash, updatedAt: new Date(ctx.clock.now()) })
    .where(headPlace(head))
  await ctx.db.notify(tx, 'records', head.tenant)
}

const columns = Object.entries(getTableColumns(flightRecord))

/** One parameter for a whole batch: a statement of 12,000 would cost more than the insert. */
function columnsOf(row: Row): Record<string, unknown> {
  return Object.fromEntries(columns.map(([key, { name }]) => [name, row[key as keyof Row] ?? null]))
}

const headPlace = ({ tenant, instance, epoch }: HeadRow) =>
  and(eq(chainHead.tenant, tenant), eq(chainHead.instance, instance), eq(chainHead.epoch, epoch))

/**
 * Stops a chain for good: nothing more is taken from it until a person has looked. What was good before stays. `forked` are
 * records of another history under the same name: what they spent, they spent a second time.
 */
async function quarantine(tx: Tx, ctx: Context, head: OwnHead, reason: string, forked: string[]): Promise<Accepted> {
  await tx
    .update(chainHead)
    .set({ quarantinedAt: new Date(ctx.clock.now()), reason, forked: forked.length > 0 })
    .where(headPlace(head))
  const field = { path: ['chain', String(head.epoch), 'quarantined'], before: null, after: String(head.sequence) }
  const targets = [{ id: head.instance, name: head.instance, changes: [field] }]
  await record(tx, ctx, systemActor(head.tenant), { action: 'chain.quarantine', targets, reason })
  const { instance, epoch, dataPlane } = head
  await raiseIncident(tx, ctx, head.tenant, {
    ...{ trigger: 'RECORDS_QUARANTINED', about: `${instance}/${epoch}`, subject: dataPlane },
    summary: `Records of ${instance} (epoch ${epoch}) are quarantined after ${head.sequence}: ${reason}.`,
    figures: { instance, epoch: String(epoch), after: String(head.sequence) },
  })
  if (forked.length > 0) await takeFork(tx, ctx, head, forked)
  await ctx.db.notify(tx, 'records', head.tenant)
  return stop(reason)
}

/** Where the control plane's copy of each chain of an instance ends, quarantined ones left out. */
export async function chainHeads(ctx: Context, instance: string): Promise<ChainHead[]> {
  const sender = await findInstance(ctx, instance)
  if (!sender || sender.recordsFor.length === 0) return []
  const own = and(inArray(chainHead.tenant, sender.recordsFor), eq(chainHead.instance, instance))
  const rows = await ctx.db.withInstallation((tx) =>
    tx.select().from(chainHead).where(own).orderBy(asc(chainHead.epoch), asc(chainHead.tenant)),
  )
  return rows.filter(({ quarantinedAt }) => !quarantinedAt).map(headOf)
}
