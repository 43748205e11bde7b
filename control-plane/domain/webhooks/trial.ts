import { type EventKind, isSent, type Resource } from '../../../schema/config/index.ts'
import { mintId } from '../../../schema/ids.ts'
import { webhookDelivery } from '../../db/tables.ts'
import type { Actor } from '../actor.ts'
import { record } from '../audit.ts'
import type { Context } from '../context.ts'
import { invalidInput, notFound, type Written } from '../errors.ts'
import { mintOnce } from '../mint.ts'
import { sampleData, type WebhookBody } from './body.ts'
import { type Delivery, deliveryOf, webhookStates } from './deliveries.ts'

export interface WebhookTested extends Written {
  /** Under way; ask for it again to see what came of it. Null on a replay or refusal. */
  delivery: Delivery | null
  replayed: boolean
}

/** Sends one event of a kind that says it is a test. It is signed, tried again and listed like every delivery. */
export async function webhookTest(
  ctx: Context,
  actor: Actor,
  input: { idempotencyKey: string; webhook: string; event: EventKind },
): Promise<WebhookTested> {
  const { idempotencyKey, ...fields } = input
  const mint = { operation: 'webhook.test', key: idempotencyKey, body: fields }
  const {
    extra,
    resource: _,
    ...written
  } = await mintOnce<Delivery>(ctx, actor, mint, ['config:write'], async (tx, lookup, _tenant, errors) => {
    if (!isSent(input.event))
      errors.push(invalidInput(['event'], `${input.event} is of the stream itself and is not sent`))
    await lookup.load([input.webhook])
    const webhook = lookup.find(input.webhook)
    if (webhook?.kind !== 'webhook') return void errors.push(notFound(['webhook'], input.webhook))
    const [state] = await webhookStates(tx, actor.tenant, [webhook.id])
    if (state === 'PAUSED') errors.push(invalidInput(['webhook'], whyPaused(webhook)))
    if (errors.length > 0) return undefined
    const nowMs = ctx.clock.now()
    const at = new Date(nowMs)
    const body: WebhookBody = {
      ...{ type: input.event, timestamp: at.toISOString(), tenant: actor.tenant, cursor: null, test: true },
      data: sampleData(input.event, nowMs),
    }
    const id = mintId('webhookDelivery', nowMs)
    const row = { tenant: actor.tenant, id, webhook: webhook.id, event: input.event, at, nextAt: at }
    const [made] = await tx
      .insert(webhookDelivery)
      .values({ ...row, body: JSON.stringify(body) })
      .returning()
    const targets = [{ id: webhook.id, name: webhook.name, changes: [] }]
    const audit = await record(tx, ctx, actor, { action: mint.operation, targets })
    await ctx.db.notify(tx, 'records', actor.tenant)
    return { resource: webhook, audit, extra: deliveryOf(made!) }
  })
  return { ...written, delivery: extra }
}

const whyPaused = ({ spec }: Resource<'webhook'>) =>
  spec.paused ? 'is paused' : 'has no secret to sign with; make one with webhookSecretRotate'
