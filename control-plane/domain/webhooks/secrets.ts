import { and, desc, eq, gt, isNull, lte, or } from 'drizzle-orm'
import type { Resource } from '../../../schema/config/index.ts'
import { formatDuration, parseDuration } from '../../../schema/duration.ts'
import type { Tx } from '../../db/database.ts'
import { webhookSecret } from '../../db/tables.ts'
import type { Actor } from '../actor.ts'
import { record } from '../audit.ts'
import type { Context } from '../context.ts'
import { invalidInput, notFound, type Written } from '../errors.ts'
import { mintOnce } from '../mint.ts'
import { newSecret } from './signature.ts'

export interface WebhookSecretWritten extends Written {
  webhook: Resource<'webhook'> | null
  /** `whsec_…`, shown once; null on a replay or refusal. */
  secret: string | null
  replayed: boolean
}

export interface WebhookSecretRotateInput {
  idempotencyKey: string
  webhook: string
  overlap: string
  reason?: string | null
}

const overlapMsMax = 30 * 86_400_000
const useOf = (webhook: string, version: number) => `webhook/${webhook}/${version}`

/** A new secret to sign with. For `overlap` (a duration) deliveries carry the signature of the one before, too. */
export async function webhookSecretRotate(
  ctx: Context,
  actor: Actor,
  input: WebhookSecretRotateInput,
): Promise<WebhookSecretWritten> {
  const { idempotencyKey, reason, ...fields } = input
  const mint = { operation: 'webhook.secretRotate', key: idempotencyKey, body: fields }
  const { resource, extra, ...written } = await mintOnce<string>(
    ctx,
    actor,
    mint,
    ['credential:set'],
    async (tx, lookup, _, errors) => {
      const overlapMs = parseDuration(input.overlap)
      if (overlapMs === undefined || overlapMs > overlapMsMax)
        errors.push(invalidInput(['overlap'], `must be a duration of at most ${formatDuration(overlapMsMax)}`))
      await lookup.load([input.webhook])
      const webhook = lookup.find(input.webhook)
      if (webhook?.kind !== 'webhook') errors.push(notFound(['webhook'], input.webhook))
      if (webhook?.kind !== 'webhook' || errors.length > 0) return undefined
      const { version, secret } = await addSecret(tx, ctx, actor.tenant, webhook.id, overlapMs!)
      const before = version > 1 ? `version ${version - 1}` : null
      const changes = [{ path: ['secret'], before, after: `version ${version}` }]
      const targets = [{ id: webhook.id, name: webhook.name, changes }]
      const audit = await record(tx, ctx, actor, { action: mint.operation, targets, reason })
      await ctx.db.notify(tx, 'records', actor.tenant)
      return { resource: webhook, audit, extra: secret }
    },
  )
  return { ...written, webhook: resource as Resource<'webhook'> | null, secret: extra }
}

/** Ends what is older than the last one at once: never more than two are good. */
async function addSecret(tx: Tx, ctx: Context, tenant: string, webhook: string, overlapMs: number) {
  const own = and(eq(webhookSecret.tenant, tenant), eq(webhookSecret.webhook, webhook))
  const nowMs = ctx.clock.now()
  const [newest] = await tx.select().from(webhookSecret).where(own).orderBy(desc(webhookSecret.version)).limit(1)
  const version = (newest?.version ?? 0) + 1
  if (newest) {
    await tx.delete(webhookSecret).where(and(own, lte(webhookSecret.version, newest.version - 1)))
    await tx
      .update(webhookSecret)
      .set({ expiresAt: new Date(nowMs + overlapMs) })
      .where(and(own, eq(webhookSecret.version, newest.version)))
  }
  const secret = newSecret()
  const sealed = ctx.vault.seal(useOf(webhook, version), Buffer.from(secret))
  await tx.insert(webhookSecret).values({ tenant, webhook, version, sealed, createdAt: new Date(nowMs) })
  return { version, secret }
}

/** What a delivery is signed with now, the newest first. Throws where the master key is another than it was sealed with. */
export async function signingSecrets(
  tx: Tx,
  ctx: Pick<Context, 'vault' | 'clock'>,
  tenant: string,
  webhook: string,
): Promise<string[]> {
  const good = or(isNull(webhookSecret.expiresAt), gt(webhookSecret.expiresAt, new Date(ctx.clock.now())))
  const rows = await tx
    .select()
    .from(webhookSecret)
    .where(and(eq(webhookSecret.tenant, tenant), eq(webhookSecret.webhook, webhook), good))
    .orderBy(desc(webhookSecret.version))
  return rows.map(({ version, sealed }) => {
    const plain = ctx.vault.open(useOf(webhook, version), sealed)
    if (!plain) throw new Error(`the secret of ${webhook} cannot be opened with this master key`)
    return plain.toString()
  })
}
