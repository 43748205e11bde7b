import { and, asc, eq, gte, inArray, isNull, or, sql } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import type { Tx } from '../db/database.ts'
import { apiKeySecret, resource } from '../db/tables.ts'

/** A secret of an application key with what its row in a snapshot is made of. */
export interface KeySecret {
  apiKey: string
  hash: Buffer
  expiresAt: Date | null
  revokedAt: Date | null
  spec: Resource<'apiKey'>['spec']
  archivedAt: Date | null
}

/** Rows of one page: reading and taking them holds the event loop for some ten milliseconds. */
const pageRows = 1_000

/**
 * Secrets of application keys, of all or of these, in pages; archived keys' too. Left out are those that were revoked or
 * outdated before `endedSinceMs` (Unix ms).
 */
export async function* keySecretPages(
  tx: Tx,
  tenant: string,
  { keys, endedSinceMs }: { keys?: readonly string[]; endedSinceMs: number },
): AsyncGenerator<KeySecret[]> {
  const since = new Date(endedSinceMs)
  const wanted = and(
    eq(apiKeySecret.tenant, tenant),
    keys && inArray(apiKeySecret.apiKey, [...keys]),
    or(isNull(apiKeySecret.revokedAt), gte(apiKeySecret.revokedAt, since)),
    or(isNull(apiKeySecret.expiresAt), gte(apiKeySecret.expiresAt, since)),
  )
  let page: KeySecret[]
  let after: KeySecret | undefined
  do {
    page = await readPage(tx, and(wanted, after && isAfter(after)))
    if (page.length > 0) yield page
    after = page.at(-1)
  } while (page.length === pageRows)
}

async function readPage(tx: Tx, wanted: ReturnType<typeof and>): Promise<KeySecret[]> {
  const { apiKey, hash, expiresAt, revokedAt } = apiKeySecret
  const { spec, archivedAt } = resource
  const rows = await tx
    .select({ apiKey, hash, expiresAt, revokedAt, spec, archivedAt })
    .from(apiKeySecret)
    .innerJoin(resource, and(eq(resource.tenant, apiKeySecret.tenant), eq(resource.id, apiKey)))
    .where(and(wanted, sql`${spec} ->> 'kind' = 'APPLICATION'`))
    .orderBy(asc(apiKey), asc(hash))
    .limit(pageRows)
  return rows as unknown as KeySecret[]
}

const isAfter = ({ apiKey, hash }: KeySecret) =>
  sql`(${apiKeySecret.apiKey}, ${apiKeySecret.hash}) > (${apiKey}, ${sql.param(hash, apiKeySecret.hash)})`
