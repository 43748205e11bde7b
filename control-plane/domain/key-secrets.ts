import { and, desc, eq, inArray, isNull, sql } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import { hashKey, keyPrefix, mintKey } from '../../schema/key-table.ts'
import type { KeyDelta } from '../../schema/snapshot.ts'
import type { Tx } from '../db/database.ts'
import { apiKeySecret, keyDelta } from '../db/tables.ts'
import { grantOf } from './compile.ts'
import type { Context } from './context.ts'
import { chunks, resourcesByIds } from './resources.ts'
import { advanceTenant, lockTenant } from './tenant-lock.ts'

export type SecretRow = typeof apiKeySecret.$inferSelect
type Key = Resource<'apiKey'>

/** Every secret of these keys, newest first. */
export async function secretsOf(tx: Tx, tenant: string, keys: readonly string[]): Promise<SecretRow[]> {
  const found: SecretRow[] = []
  for (const some of chunks(keys)) {
    const mine = and(eq(apiKeySecret.tenant, tenant), inArray(apiKeySecret.apiKey, some))
    found.push(
      ...(await tx
        .select()
        .from(apiKeySecret)
        .where(mine)
        .orderBy(sql`${apiKeySecret.rotatedAt} is not null`, desc(apiKeySecret.createdAt))),
    )
  }
  return found
}

/** A new secret for a key. Only its hash is kept; the secret itself is returned here and nowhere else. */
export async function addSecret(tx: Tx, ctx: Context, tenant: string, key: Key): Promise<string> {
  const secret = mintKey(key.spec.kind === 'ADMIN' ? 'sla' : 'slk')
  const row: SecretRow = {
    ...{ tenant, apiKey: key.id, hash: hashKey(secret), prefix: keyPrefix(secret) },
    createdAt: new Date(ctx.clock.now()),
    ...{ expiresAt: null, rotatedAt: null, revokedAt: null, lastUsedAt: null },
  }
  await tx.insert(apiKeySecret).values(row)
  await appendDeltas(tx, ctx, tenant, key, [row])
  return secret
}

/** Lets the present secrets run out at `untilMs`; those that end earlier still do. */
export async function outdateSecrets(tx: Tx, ctx: Context, tenant: string, key: Key, untilMs: number): Promise<void> {
  const ends = sql`least(coalesce(${apiKeySecret.expiresAt}, 'infinity'), ${new Date(untilMs).toISOString()}::timestamptz)`
  const rows = await tx
    .update(apiKeySecret)
    .set({ rotatedAt: new Date(ctx.clock.now()), expiresAt: ends })
    .where(and(eq(apiKeySecret.tenant, tenant), eq(apiKeySecret.apiKey, key.id), isNull(apiKeySecret.revokedAt)))
    .returning()
  await appendDeltas(tx, ctx, tenant, key, rows)
}

/** Ends every secret of a key at once. False where all were revoked before. */
export async function revokeSecrets(tx: Tx, ctx: Context, tenant: string, key: Key): Promise<boolean> {
  const rows = await tx
    .update(apiKeySecret)
    .set({ revokedAt: new Date(ctx.clock.now()) })
    .where(and(eq(apiKeySecret.tenant, tenant), eq(apiKeySecret.apiKey, key.id), isNull(apiKeySecret.revokedAt)))
    .returning()
  await appendDeltas(tx, ctx, tenant, key, rows)
  return rows.length > 0
}

/** Tells planes of changed secrets ahead of any compile. Keys of the API are no business of theirs. */
async function appendDeltas(tx: Tx, ctx: Context, tenant: string, key: Key, secrets: SecretRow[]): Promise<void> {
  if (key.spec.kind !== 'APPLICATION' || secrets.length === 0) return
  const { deltaLast } = await lockTenant(tx, tenant)
  const [project] = await resourcesByIds(tx, tenant, key.spec.project ? [key.spec.project] : [])
  const grant = grantOf(key, project as Resource<'project'> | undefined)
  const at = new Date(ctx.clock.now())
  const rows = secrets.map((secret, index) => {
    const number = deltaLast + 1 + index
    const body: KeyDelta = {
      ...{ number, hash: secret.hash.toString('hex'), apiKey: key.id, revoked: secret.revokedAt !== null },
      ...{ expiresAtMs: endOf(key, secret), grant },
    }
    return { tenant, number, at, body }
  })
  await tx.insert(keyDelta).values(rows)
  await advanceTenant(tx, tenant, { deltaLast: deltaLast + rows.length })
}

/** When a secret stops working: the key's own expiry, or the end of an overlap, whichever is first. */
export function endOf(key: Pick<Key, 'spec'>, secret: Pick<SecretRow, 'expiresAt'>): number | null {
  const ends = [key.spec.expiresAt && Date.parse(key.spec.expiresAt), secret.expiresAt?.getTime()].filter(
    (end) => typeof end === 'number',
  )
  return ends.length > 0 ? Math.min(...ends) : null
}
