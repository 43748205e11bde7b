import { createHash } from 'node:crypto'
import { sealSecret } from '../../air-gap/index.ts'
import type { Resource } from '../../schema/config/index.ts'
import { pseudonymsName } from '../../schema/snapshot.ts'
import type { Tx } from '../db/database.ts'
import type { credentialSecret } from '../db/tables.ts'
import type { Context } from './context.ts'
import { contentKeyUse, secretUse } from './credentials.ts'
import { pseudonymKey } from './pseudonyms.ts'
import { readParts } from './snapshot-parts.ts'
import type { TenantRow } from './tenant-lock.ts'

/** What a snapshot says of its secrets part; `digest` is null where no stored secret travels. */
export interface SecretsState {
  state: string
  digest: string | null
}

/** The key that opens the tenant's secrets part; 32 bytes. */
export function contentKeyOf(ctx: Context, row: TenantRow): Buffer {
  const key = ctx.vault.open(contentKeyUse(row.id), row.sealedContentKey)
  if (!key) throw new Error(`the content key of ${row.id} does not open under this master key`)
  return key
}

/** Sealing is not repeatable, so the part is made anew only where a secret, or the key they are under, has changed. */
export async function secretsPart(
  tx: Tx,
  ctx: Context,
  row: TenantRow,
  resources: Resource[],
  stored: (typeof credentialSecret.$inferSelect)[],
  namesPersons: boolean,
  last: SecretsState | undefined,
): Promise<{ state: string; bytes: Buffer | null }> {
  const wanted = new Set(
    resources.flatMap((one) => (one.kind === 'credential' && one.spec.source === 'STORED' ? [one.id] : [])),
  )
  const sealed = stored.filter(({ credential }) => wanted.has(credential))
  sealed.sort((a, b) => (a.credential < b.credential ? -1 : 1))
  const versions = sealed.map(({ credential, version }) => [credential, version])
  const held = namesPersons ? [...versions, [pseudonymsName, 1]] : versions
  const state = createHash('sha256').update(row.sealedContentKey).update(JSON.stringify(held)).digest('hex')
  if (held.length === 0) return { state, bytes: null }
  const same =
    last?.state === state && last.digest ? (await readParts(tx, row.id, [last.digest])).get(last.digest) : undefined
  if (same) return { state, bytes: same }
  const contentKey = contentKeyOf(ctx, row)
  const entries = sealed.map(({ credential, version, sealed: bytes }): [string, string] => {
    const secret = ctx.vault.open(secretUse(credential, version), bytes)
    if (!secret) throw new Error(`the secret of ${credential} does not open under this master key`)
    return [credential, sealSecret(contentKey, row.id, credential, secret.toString())]
  })
  if (namesPersons)
    entries.push([pseudonymsName, sealSecret(contentKey, row.id, pseudonymsName, pseudonymKey(ctx, row.id))])
  return { state, bytes: Buffer.from(JSON.stringify(Object.fromEntries(entries))) }
}
