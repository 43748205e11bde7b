import { and, eq, notInArray, sql } from 'drizzle-orm'
import { encodeCursor } from '../../../schema/cursor.ts'
import type { PrivateHosts } from '../../../schema/hosts/private-hosts.ts'
import type { Tx } from '../../db/database.ts'
import { outboxEvent, webhookDelivery } from '../../db/tables.ts'
import type { Context } from '../context.ts'
import type { OutboxBody } from '../outbox.ts'
import { rarely } from '../rarely.ts'
import { resourcesByIds } from '../resources.ts'
import { backoffMs } from './backoff.ts'
import { dataOf, type WebhookBody } from './body.ts'
import type { DeliveryFault, DeliveryRow } from './deliveries.ts'
import { type Post, type Posted, post } from './post.ts'
import { signingSecrets } from './secrets.ts'
import { signatureHeaders } from './signature.ts'

export interface SenderOptions {
  privateHosts: PrivateHosts
  report?: (fault: unknown) => void
  /** For tests: how a request goes out. */
  send?: (request: Post) => Promise<Posted>
}

export interface Sender {
  /** Sends what is due now and waits for it; for tests. */
  drain(): Promise<void>
  stop(): Promise<void>
}

const underWayMax = 32
/** A receiver that answers slowly does not keep the others waiting. */
const underWayOfOneMax = 4
const lookMs = 1_000
/** Longer than an attempt takes: by then whoever claimed it is gone. */
const claimMs = 60_000
const waitForPlaceMs = 500
const waitForSecretMs = 30_000
/** What could not be signed or sent for so long is given up. */
const oldestMs = 26 * 3_600_000
const retryAfterMsMax = 6 * 3_600_000

type Sending = Pick<Context, 'db' | 'clock' | 'vault'>

/**
 * Sends deliveries as they fall due. Each is claimed by a guarded update, so any number of control planes may run it; what was
 * claimed by one that died is sent again, which receivers tell by its `webhook-id`.
 */
export async function startSender(ctx: Sending, options: SenderOptions): Promise<Sender> {
  const work = new Work(ctx, options)
  const unlisten = await ctx.db.listen('log', () => work.wake())
  const timer = setInterval(() => work.wake(), lookMs)
  work.wake()
  return {
    drain: () => work.drain(),
    async stop() {
      clearInterval(timer)
      await unlisten()
      await work.stop()
    },
  }
}

class Work {
  readonly #ctx: Sending
  readonly #send: (request: Post) => Promise<Posted>
  readonly #report: (fault: unknown) => void
  readonly #underWay = new Map<Promise<void>, Pick<DeliveryRow, 'tenant' | 'webhook'>>()
  #looking: Promise<number> | undefined
  #again = false
  /** Who stops does not wait for receivers: what is cut off is tried again. */
  readonly #leaving = new AbortController()

  constructor(ctx: Sending, { privateHosts, report = () => {}, send }: SenderOptions) {
    this.#ctx = ctx
    this.#send = send ?? ((request) => post(request, { allowed: privateHosts, signal: this.#leaving.signal }))
    this.#report = rarely(report)
  }

  wake() {
    if (this.#leaving.signal.aborted) return
    if (this.#looking) {
      this.#again = true
      return
    }
    this.#again = false
    this.#looking = this.#look().catch((fault: unknown) => {
      this.#report(fault)
      return 0
    })
    void this.#looking.finally(() => {
      this.#looking = undefined
      if (this.#again) this.wake()
    })
  }

  async drain() {
    await this.#looking
    do await Promise.all(this.#underWay.keys())
    while ((await this.#look()) > 0)
    await Promise.all(this.#underWay.keys())
  }

  async stop() {
    this.#leaving.abort()
    await this.#looking
    await Promise.all(this.#underWay.keys())
  }

  /** Claims what is due and there is room for; answers how many. */
  async #look(): Promise<number> {
    const room = underWayMax - this.#underWay.size
    if (room <= 0) return 0
    const claimed = await claim(this.#ctx, room, this.#busy(), this.#perTenant())
    for (const row of claimed) this.#start(row)
    return claimed.length
  }

  #busy(): string[] {
    const counts = Map.groupBy(this.#underWay.values(), ({ webhook }) => webhook)
    return [...counts].filter(([, some]) => some.length >= underWayOfOneMax).map(([webhook]) => webhook)
  }

  #perTenant(): { tenant: string; busy: number }[] {
    const counts = Map.groupBy(this.#underWay.values(), ({ tenant }) => tenant)
    return [...counts].map(([tenant, some]) => ({ tenant, busy: some.length }))
  }

  #start(row: DeliveryRow) {
    const attempt = deliver(this.#ctx, row, this.#send)
      .catch(this.#report)
      .finally(() => {
        this.#underWay.delete(attempt)
        this.wake()
      })
    this.#underWay.set(attempt, row)
  }
}

/**
 * Takes deliveries that are due, a few of each webhook: whoever moves `next_at` first has them. A place goes to the tenant that has
 * the fewest under way, so that nobody's slow receivers keep the others' deliveries waiting.
 */
async function claim(
  { db, clock }: Sending,
  room: number,
  busy: string[],
  perTenant: { tenant: string; busy: number }[],
): Promise<DeliveryRow[]> {
  const now = new Date(clock.now())
  const until = new Date(clock.now() + claimMs)
  const free = busy.length > 0 ? notInArray(webhookDelivery.webhook, busy) : sql`true`
  return db.withInstallation((tx) =>
    tx
      .update(webhookDelivery)
      .set({ nextAt: until })
      .where(
        and(
          sql`${webhookDelivery.nextAt} <= ${now.toISOString()}::timestamptz`,
          sql`(tenant, id) in (
            select due.tenant, due.id from (
              select *, row_number() over (partition by tenant order by next_at, id) as place from (
                select tenant, id, next_at, row_number() over (partition by tenant, webhook order by next_at, id) as turn
                from webhook_delivery where next_at <= ${now.toISOString()}::timestamptz and ${free}) as each
              where turn <= ${underWayOfOneMax}) as due
            left join jsonb_to_recordset(${JSON.stringify(perTenant)}::jsonb) as b(tenant text, busy int) on b.tenant = due.tenant
            order by place + coalesce(busy, 0), next_at, due.id limit ${room})`,
        ),
      )
      .returning(),
  )
}

type Prepared = Post | { wait: number; fault: DeliveryFault | null } | { over: true }

async function deliver(ctx: Sending, row: DeliveryRow, send: (request: Post) => Promise<Posted>): Promise<void> {
  const prepared = await ctx.db.withTenant(row.tenant, (tx) => prepare(tx, ctx, row))
  if ('over' in prepared) return note(ctx, row, { nextAt: null })
  const nowMs = ctx.clock.now()
  if ('wait' in prepared) return note(ctx, row, { nextAt: new Date(nowMs + prepared.wait), fault: prepared.fault })
  const posted = await send(prepared)
  await note(ctx, row, outcomeOf(row, posted, ctx.clock.now()))
}

/** What is sent, or why not yet, or not any more. */
async function prepare(tx: Tx, ctx: Sending, row: DeliveryRow): Promise<Prepared> {
  const [webhook] = await resourcesByIds(tx, row.tenant, [row.webhook])
  const tooOld = ctx.clock.now() - row.at.getTime() > oldestMs
  if (webhook?.kind !== 'webhook' || webhook.archivedAt || tooOld) return { over: true }
  if (webhook.spec.paused) return { wait: waitForSecretMs, fault: null }
  const secrets = await signingSecrets(tx, ctx, row.tenant, row.webhook)
  if (secrets.length === 0) return { wait: waitForSecretMs, fault: 'NO_SECRET' }
  const body = row.body ?? (await writeBody(tx, row))
  if (body === 'UNPLACED') return { wait: waitForPlaceMs, fault: null }
  if (body === 'FORGOTTEN') return { over: true }
  const signed = signatureHeaders(secrets, row.id, ctx.clock.now(), body)
  const headers = { 'content-type': 'application/json', 'user-agent': 'Sluice-Webhook/1', ...signed }
  return { url: webhook.spec.url, headers, body }
}

/** Written once, when the event has its place in the log: every attempt signs the same text. */
async function writeBody(tx: Tx, row: DeliveryRow): Promise<string> {
  const [event] = await tx
    .select()
    .from(outboxEvent)
    .where(and(eq(outboxEvent.tenant, row.tenant), eq(outboxEvent.id, row.eventId!)))
  if (!event) return 'FORGOTTEN'
  if (event.number === null) return 'UNPLACED'
  const told = event.body as OutboxBody
  const body: WebhookBody = {
    ...{ type: told.kind, timestamp: event.at.toISOString(), tenant: row.tenant },
    cursor: encodeCursor({ number: event.number, sub: event.sub ?? 0 }),
    data: await dataOf(tx, row.tenant, told),
  }
  const text = JSON.stringify(body)
  await tx.update(webhookDelivery).set({ body: text }).where(placeOf(row))
  return text
}

type Outcome = Partial<Pick<DeliveryRow, 'nextAt' | 'attempts' | 'status' | 'fault' | 'deliveredAt' | 'lastAttemptAt'>>

/** 2xx is delivered; 410 says that nobody listens there any more; all else is tried again until the attempts are used up. */
function outcomeOf(row: DeliveryRow, posted: Posted, nowMs: number): Outcome {
  const attempts = row.attempts + 1
  const at = new Date(nowMs)
  const status = 'status' in posted ? posted.status : null
  const tried = { attempts, status, lastAttemptAt: at }
  if (status !== null && status >= 200 && status < 300) return { ...tried, fault: null, deliveredAt: at, nextAt: null }
  if (status === 410) return { ...tried, fault: 'GONE', nextAt: null }
  const waitMs = backoffMs(attempts, Math.random())
  const askedMs = 'retryAfterMs' in posted ? Math.min(posted.retryAfterMs ?? 0, retryAfterMsMax) : 0
  const nextAt = waitMs === null ? null : new Date(nowMs + Math.max(waitMs, askedMs))
  return { ...tried, fault: 'fault' in posted ? posted.fault : 'BAD_STATUS', nextAt }
}

async function note({ db }: Sending, row: DeliveryRow, outcome: Outcome): Promise<void> {
  await db.withTenant(row.tenant, (tx) => tx.update(webhookDelivery).set(outcome).where(placeOf(row)))
}

const placeOf = ({ tenant, id }: DeliveryRow) => and(eq(webhookDelivery.tenant, tenant), eq(webhookDelivery.id, id))
