import { and, eq, sql } from 'drizzle-orm'
import type { EventKind } from '../../schema/config/index.ts'
import { comparePositions, decodeCursor, encodeCursor, type Position } from '../../schema/cursor.ts'
import { auditEntry, outboxEvent } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import type { AuditActor } from './audit.ts'
import type { ToldBalance } from './budgets/telling.ts'
import type { Context } from './context.ts'
import { followEvents } from './event-stream.ts'
import { followRecords } from './flight-tail.ts'
import type { Interval } from './intervals.ts'
import type { Change } from './plan.ts'
import type { FlightFilter, RecordRow } from './records.ts'
import { SpendFeeds } from './spend-feed.ts'
import type { SpendDimension, SpendFilter, SpendGroup } from './spend-groups.ts'
import { followSpend } from './spend-ticks.ts'
import { StreamEnded } from './stream-ended.ts'
import { Bell, subscription } from './subscription.ts'
import { type Batch, logEnd, type Part, TenantReader } from './tenant-reader.ts'

export type { EventKind } from '../../schema/config/index.ts'
export { StreamEnded } from './stream-ended.ts'

interface Placed<K extends EventKind> {
  kind: K
  cursor: string
  at: Date
}

export type Event =
  | (Placed<'CONFIG_CHANGED'> & { revision: number; actor: AuditActor; changes: Change[] })
  | (Placed<'DATA_PLANE_CHANGED'> & { dataPlane: string })
  | (Placed<'ALERT_RAISED' | 'ALERT_RESOLVED'> & { alert: string })
  /** The balance as it was then; each counter is told at most once a second. */
  | (Placed<'BUDGET_CHANGED'> & { budget: string; balance: ToldBalance })
  /** `after` is older than what is kept: fetch state again, then go on from `cursor`. */
  | (Placed<'STREAM_RESET'> & { oldest: string })
  | Placed<'HEARTBEAT'>

export interface SpendTick {
  cursor: string
  at: Date
  groups: SpendGroup[]
}

export interface FlightTick {
  cursor: string
  records: RecordRow[]
  /** Records that matched but were left out, since this subscriber could not keep up. */
  skipped: number
}

export interface EventArgs {
  kinds?: EventKind[] | null
  after?: string | null
}

export interface SpendTickArgs {
  interval: Interval
  groupBy?: SpendDimension[] | null
  groupByLabels?: string[] | null
  filter?: SpendFilter | null
  after?: string | null
}

export interface FlightArgs {
  filter?: FlightFilter | null
  after?: string | null
}

/**
 * Three streams, each resumable: `after` replays what was missed, then goes live without gap or repeat; null = live from now.
 * An iterable ends when `signal` aborts; it throws StreamEnded where the subscriber may not go on.
 */
export interface Streams {
  events(actor: Actor, args: EventArgs, signal: AbortSignal): AsyncIterable<Event>
  /** At most four a second. The one point of TOTAL stands at 1970. A quiet stream sends empty ticks, so that its cursor advances. */
  spendTicks(actor: Actor, args: SpendTickArgs, signal: AbortSignal): AsyncIterable<SpendTick>
  flightTail(actor: Actor, args: FlightArgs, signal: AbortSignal): AsyncIterable<FlightTick>
  /** Waits until the log has come to this audit entry: its position, or null after `timeoutMs`. */
  auditPosition(tenant: string, auditSequence: number, timeoutMs: number): Promise<string | null>
  close(): Promise<void>
}

/** Where a stream begins: what lies behind `after` up to `live` is to be replayed; what comes then, the listener gets. */
export interface Start {
  after: Position
  live: Position
  /** The cursor lies beyond the log's end: it is of a log that was since restored from a backup. */
  beyond: boolean
  detach: () => void
}

/** A notification may be lost with its connection. */
const sweepMs = 2_000
const recheckMs = 200

export function openStreams(ctx: Pick<Context, 'db' | 'clock'>): Streams {
  const readers = new Readers(ctx.db)
  const feeds = new SpendFeeds(ctx, readers)
  const closing = new AbortController()
  const within = (signal: AbortSignal) => AbortSignal.any([signal, closing.signal])
  return {
    events: (actor, args, signal) =>
      subscription(within(signal), (running) => followEvents(ctx, readers, actor.tenant, args, running)),
    spendTicks: (actor, args, signal) => {
      const narrowed = { ...args, filter: ownOnly(actor, 'spend', args.filter) }
      return subscription(within(signal), (running) => followSpend(ctx, feeds, actor.tenant, narrowed, running))
    },
    flightTail: (actor, args, signal) => {
      const narrowed = { ...args, filter: ownOnly(actor, 'record', args.filter) }
      return subscription(within(signal), (running) => followRecords(ctx, readers, actor.tenant, narrowed, running))
    },
    auditPosition: (tenant, sequence, timeoutMs) => auditPosition(ctx, readers, tenant, sequence, timeoutMs),
    async close() {
      closing.abort()
      await readers.close()
    },
  }
}

/** Who may see only its own, sees only its own, whatever it asks for. */
function ownOnly<Filter extends { principal?: string[] | null }>(
  actor: Actor,
  of: 'spend' | 'record',
  filter: Filter | null | undefined,
): Filter | null | undefined {
  if (actor.permissions.has(`${of}:read`)) return filter
  const own = actor.permissions.has(`${of}:read-own`) && actor.principal ? [actor.principal] : []
  const asked = filter?.principal
  return { ...filter, principal: asked ? own.filter((id) => asked.includes(id)) : own } as Filter
}

/** One reader per tenant that somebody follows, and who waits for the log to move. */
export class Readers {
  readonly #db: Context['db']
  readonly #readers = new Map<string, Promise<TenantReader>>()
  readonly #bells = new Map<string, Set<Bell>>()
  #listening: Promise<() => Promise<void>> | undefined
  #timer: ReturnType<typeof setInterval> | undefined

  constructor(db: Context['db']) {
    this.#db = db
  }

  /**
   * Reads a cursor, and attaches to the tenant's reader, which is made at the log's end where nobody follows yet. Attaching is
   * one step with reading the reader's position, so nothing falls between what is replayed and what comes live.
   */
  async start(
    tenant: string,
    cursor: string | null | undefined,
    part: Part,
    listener: (start: Pick<Start, 'after' | 'live'>) => (batch: Batch) => void,
  ): Promise<Start> {
    const { position: asked, beyond } = await this.positionOf(tenant, cursor)
    await this.#listen()
    const opening = this.#readers.get(tenant) ?? this.#open(tenant)
    const reader = await opening
    const live = reader.position
    const after = asked && !beyond ? asked : live
    const leave = reader.attach(part, listener({ after, live }))
    reader.wake()
    const detach = () => {
      leave()
      if (reader.idle && this.#readers.get(tenant) === opening) this.#readers.delete(tenant)
    }
    return { after, live, beyond, detach }
  }

  /** What a cursor stands for, and whether it lies beyond the log's end; a cursor that is none ends the stream. */
  async positionOf(
    tenant: string,
    cursor: string | null | undefined,
  ): Promise<{ position: Position | undefined; beyond: boolean }> {
    const position = cursor ? decodeCursor(cursor) : undefined
    if (cursor && !position) throw new StreamEnded('MALFORMED_CURSOR', 'after is not a cursor of this API.')
    const end = position && (await this.#db.withTenant(tenant, (tx) => logEnd(tx, tenant)))
    return { position, beyond: position !== undefined && comparePositions(position, end!) > 0 }
  }

  /** Rings whenever this tenant's log may have moved. */
  async watch(tenant: string, bell: Bell): Promise<() => void> {
    await this.#listen()
    const bells = this.#bells.get(tenant) ?? new Set()
    this.#bells.set(tenant, bells.add(bell))
    return () => {
      bells.delete(bell)
      if (bells.size === 0) this.#bells.delete(tenant)
    }
  }

  async close() {
    clearInterval(this.#timer)
    await (await this.#listening)?.()
    for (const reader of this.#readers.values())
      await reader.then(
        (one) => one.stop(),
        () => {},
      )
    for (const bells of this.#bells.values()) for (const bell of bells) bell.ring()
  }

  /** An idle reader is not kept: its position would be old when the next subscriber comes. */
  #open(tenant: string): Promise<TenantReader> {
    const opening = this.#db
      .withTenant(tenant, (tx) => logEnd(tx, tenant))
      .then(({ number, sub }) => new TenantReader(this.#db, tenant, { number, sub }))
    this.#readers.set(tenant, opening)
    opening.catch(() => this.#readers.delete(tenant))
    return opening
  }

  #listen() {
    this.#timer ??= setInterval(() => this.#wake(''), sweepMs)
    this.#listening ??= this.#db.listen('log', (tenant) => this.#wake(tenant))
    return this.#listening
  }

  #wake(tenant: string) {
    for (const [of, bells] of this.#bells) if (tenant === '' || of === tenant) for (const bell of bells) bell.ring()
    for (const [of, reader] of this.#readers)
      if (tenant === '' || of === tenant)
        void reader.then(
          (one) => one.wake(),
          () => {},
        )
  }
}

async function auditPosition(
  ctx: Pick<Context, 'db'>,
  readers: Readers,
  tenant: string,
  sequence: number,
  timeoutMs: number,
): Promise<string | null> {
  const bell = new Bell()
  const unwatch = await readers.watch(tenant, bell)
  const until = performance.now() + timeoutMs
  try {
    for (;;) {
      const position = await ctx.db.withTenant(tenant, async (tx) => {
        const [row] = await tx
          .select({ number: auditEntry.number, sub: sql<string | null>`max(${outboxEvent.sub})` })
          .from(auditEntry)
          .leftJoin(outboxEvent, and(eq(outboxEvent.tenant, tenant), eq(outboxEvent.auditSequence, sequence)))
          .where(and(eq(auditEntry.tenant, tenant), eq(auditEntry.sequence, sequence)))
          .groupBy(auditEntry.number)
        return row
      })
      // The entry's own event stands right behind it: whoever resumes from here has seen this write.
      if (typeof position?.number === 'number')
        return encodeCursor({ number: position.number, sub: Number(position.sub ?? 0) })
      const leftMs = until - performance.now()
      if (leftMs <= 0) return null
      await bell.wait(Math.min(leftMs, recheckMs))
    }
  } finally {
    unwatch()
  }
}
