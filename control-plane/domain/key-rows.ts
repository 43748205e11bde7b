import { and, eq, gte, inArray, isNull, or, sql } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import type { Tx } from '../db/database.ts'
import { apiKeySecret, resource } from '../db/tables.ts'
import { fillSpec } from './resources.ts'

/** A secret of an application key with what its row in a snapshot is made of. */
export interface KeySecret {
  apiKey: string
  hash: Buffer
  expiresAt: Date | null
  revokedAt: Date | null
  spec: Resource<'apiKey'>['spec']
  archivedAt: Date | null
}

/** Rows of one page: taking them holds the event loop for some ten milliseconds. */
const pageRows = 500

/**
 * Secrets of application keys, of all or of these, in pages and in no order; archived keys' too. Left out are those that were
 * revoked or outdated before `endedSinceMs` (Unix ms).
 */
export async function* keySecretPages(
  tx: Tx,
  tenant: string,
  wish: { keys?: readonly string[]; endedSinceMs: number },
): AsyncGenerator<KeySecret[]> {
  // A cursor and not pages by key: the planner takes row-level security for very selective and would read all for each page.
  await tx.execute(sql`declare key_secrets no scroll cursor for ${secretsQuery(tx, tenant, wish)}`)
  let page: SecretColumns[]
  do {
    page = await tx.execute(sql.raw(`fetch ${pageRows} from key_secrets`))
    if (page.length > 0) yield page.map(secretOf)
  } while (page.length === pageRows)
  await tx.execute(sql`close key_secrets`)
}

function secretsQuery(tx: Tx, tenant: string, wish: { keys?: readonly string[]; endedSinceMs: number }) {
  const since = new Date(wish.endedSinceMs)
  const { apiKey, hash, expiresAt, revokedAt } = apiKeySecret
  const { spec, archivedAt } = resource
  return tx
    .select({ apiKey, hash, expiresAt, revokedAt, spec, archivedAt })
    .from(apiKeySecret)
    .innerJoin(resource, and(eq(resource.tenant, apiKeySecret.tenant), eq(resource.id, apiKey)))
    .where(
      and(
        eq(apiKeySecret.tenant, tenant),
        wish.keys && inArray(apiKey, [...wish.keys]),
        or(isNull(revokedAt), gte(revokedAt, since)),
        or(isNull(expiresAt), gte(expiresAt, since)),
        sql`${spec} ->> 'kind' = 'APPLICATION'`,
      ),
    )
    .getSQL()
}

/** A row as both drivers give it, before drizzle's columns have read it. */
interface SecretColumns extends Record<string, unknown> {
  api_key: string
  hash: Uint8Array
  expires_at: string | null
  revoked_at: string | null
  spec: string
  archived_at: string | null
}

const dateOf = (text: string | null) =>
  text === null ? null : (apiKeySecret.expiresAt.mapFromDriverValue(text) as Date)

const secretOf = (row: SecretColumns): KeySecret => ({
  apiKey: row.api_key,
  hash: apiKeySecret.hash.mapFromDriverValue(row.hash) as Buffer,
  expiresAt: dateOf(row.expires_at),
  revokedAt: dateOf(row.revoked_at),
  spec: fillSpec('apiKey', JSON.parse(row.spec)) as KeySecret['spec'],
  archivedAt: dateOf(row.archived_at),
})
