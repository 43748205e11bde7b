import canonicalize from 'canonicalize'
import { and, eq, lt } from 'drizzle-orm'
import type { Tx } from '../db/database.ts'
import { idempotency } from '../db/tables.ts'
import { type Actor, accountable } from './actor.ts'
import type { Context } from './context.ts'
import { invalidInput, keyReused, type UserError } from './errors.ts'

/** Longer than the day that is promised, so that a retry over a weekend still finds it. */
const keptMs = 72 * 3_600_000
const keyCharactersMax = 200

/** What a first call left for its replays: ids, never a secret. */
export interface Remembered {
  resource: string
  audit: string
}

export interface Mint {
  operation: string
  key: string
  /** The whole input; only a keyed digest of it is kept. */
  body: unknown
}

/** Whether this call was made before: its result, or why the key cannot be used. Call it under the tenant's lock. */
export async function replayOf(
  tx: Tx,
  ctx: Context,
  actor: Actor,
  mint: Mint,
): Promise<{ remembered: Remembered } | { error: UserError } | undefined> {
  if (mint.key.length === 0 || mint.key.length > keyCharactersMax)
    return { error: invalidInput(['idempotencyKey'], `must have 1 to ${keyCharactersMax} characters`) }
  const [row] = await tx
    .select()
    .from(idempotency)
    .where(
      and(eq(idempotency.tenant, actor.tenant), eq(idempotency.principal, whose(actor)), eq(idempotency.key, mint.key)),
    )
  if (!row) return undefined
  if (row.operation !== mint.operation || row.bodyDigest !== digestOf(ctx, actor, mint))
    return { error: keyReused(row.firstUsedAt) }
  return { remembered: row.result as Remembered }
}

/** Keeps the result for replays, and forgets what is too old. */
export async function remember(tx: Tx, ctx: Context, actor: Actor, mint: Mint, result: Remembered): Promise<void> {
  const now = ctx.clock.now()
  await tx
    .delete(idempotency)
    .where(and(eq(idempotency.tenant, actor.tenant), lt(idempotency.firstUsedAt, new Date(now - keptMs))))
  await tx.insert(idempotency).values({
    tenant: actor.tenant,
    principal: whose(actor),
    key: mint.key,
    operation: mint.operation,
    bodyDigest: digestOf(ctx, actor, mint),
    result,
    firstUsedAt: new Date(now),
  })
}

/** Keys of a person and of all its keys are one room; another's are another. So are an operator's in other tenants. */
const whose = (actor: Actor) => accountable(actor).principal ?? actor.id

/** Keyed, since the body may hold a secret that could be guessed from a plain hash. */
function digestOf(ctx: Context, actor: Actor, { body }: Mint): string {
  return ctx.vault.digest('idempotency', canonicalize([whose(actor), body])!)
}
