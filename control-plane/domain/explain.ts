import { and, desc, eq } from 'drizzle-orm'
import { type ExplainedCaller, type ExplainedRequest, type Explanation, explain } from '../../data-plane/explain.ts'
import type { Codec, Resource } from '../../schema/config/index.ts'
import { rowsOfKey } from '../../schema/key-table.ts'
import type { SnapshotConfig, SnapshotManifest } from '../../schema/snapshot.ts'
import { snapshot } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import type { Context } from './context.ts'
import { pseudonymKey } from './pseudonyms.ts'
import { findResource } from './resources.ts'
import { part, snapshotOf } from './snapshots.ts'

export interface ExplainInput {
  project?: string | null
  apiKey?: string | null
  requestLabels?: Record<string, string> | null
  atRevision?: number | null
  alias?: string | null
  prompt?: string | null
  maxOutputTokens?: number | null
  dialect?: Codec | null
  body?: string | null
}

/** What is wrong with a question, as a sentence. What is another tenant's is answered as what is not there. */
export interface NotExplained {
  wrong: string
}

/** What would happen to a request under this or a kept revision; nothing is sent, spent or recorded. */
export async function explainRequest(
  ctx: Context,
  actor: Actor,
  input: ExplainInput,
): Promise<Explanation | NotExplained> {
  const request = requestOf(input)
  if ('wrong' in request) return request
  const kept = await keptSnapshot(ctx, actor.tenant, input.atRevision ?? null)
  if ('wrong' in kept) return kept
  const read = (digest: string) => part(ctx, actor.tenant, digest)
  const bytes = await read(kept.manifest.parts.find(({ name }) => name === 'config')!.digest)
  if (!bytes) return gone(kept.manifest.revision)
  const config: SnapshotConfig = JSON.parse(bytes.toString('utf8'))
  const caller = await callerOf(ctx, actor.tenant, input, kept.manifest, config)
  if ('wrong' in caller) return caller
  const explanation = await explain({
    parts: {
      tenant: actor.tenant,
      revision: kept.manifest.revision,
      deltaNumber: kept.manifest.deltaNumber,
      sequence: kept.manifest.revision,
      configDigest: kept.digest,
      config: bytes,
      pseudonymKey: Buffer.from(pseudonymKey(ctx, actor.tenant), 'hex'),
    },
    caller,
    labels: input.requestLabels ?? {},
    request,
    nowMs: ctx.clock.now(),
  })
  return 'unreadable' in explanation ? { wrong: explanation.unreadable } : explanation
}

function requestOf(input: ExplainInput): ExplainedRequest | NotExplained {
  const { alias, prompt, body, dialect, maxOutputTokens } = input
  if (body != null && prompt == null) {
    if (!dialect) return { wrong: 'Say in which dialect the body is.' }
    return { dialect, body, alias: alias ?? null }
  }
  if (body == null && prompt != null && alias != null && dialect == null)
    return { alias, prompt, maxOutputTokens: maxOutputTokens ?? null }
  return { wrong: 'Give either an alias with a prompt, or a body with its dialect.' }
}

interface KeptSnapshot {
  manifest: SnapshotManifest
  digest: string
}

const gone = (revision: number): NotExplained => ({ wrong: `Revision ${revision} is no longer kept.` })

/** The newest revision, or an earlier one whose parts are still there. */
async function keptSnapshot(
  ctx: Context,
  tenant: string,
  revision: number | null,
): Promise<KeptSnapshot | NotExplained> {
  const current = await snapshotOf(ctx, tenant)
  if (revision === null || revision === current.revision) return keptOf(current)
  return ctx.db.withTenant(tenant, async (tx) => {
    const ofTenant = eq(snapshot.tenant, tenant)
    const [row] = await tx
      .select()
      .from(snapshot)
      .where(and(ofTenant, eq(snapshot.revision, revision)))
    if (row) return keptOf(row)
    const kept = await tx.select().from(snapshot).where(ofTenant).orderBy(desc(snapshot.revision))
    return { wrong: `Revision ${revision} is not kept; ${kept.map((one) => one.revision).join(', ')} are.` }
  })
}

function keptOf({ manifest, contentDigest }: { manifest: Buffer; contentDigest: string }): KeptSnapshot {
  return { manifest: JSON.parse(manifest.toString('utf8')), digest: contentDigest }
}

async function callerOf(
  ctx: Context,
  tenant: string,
  input: ExplainInput,
  manifest: SnapshotManifest,
  config: SnapshotConfig,
): Promise<ExplainedCaller | NotExplained> {
  const project = await named(ctx, tenant, 'project', input.project)
  if (project === 'missing') return { wrong: 'There is no such project.' }
  const key = await named(ctx, tenant, 'apiKey', input.apiKey)
  if (key === 'missing' || (key && key.spec.kind !== 'APPLICATION'))
    return { wrong: 'There is no such application key.' }
  if (key && project && key.spec.project !== project.id) return { wrong: 'The key belongs to another project.' }
  if (key) return keyCaller(ctx, tenant, key.id, manifest, config)
  if (!project) return { wrong: 'Name a project, or a key.' }
  return { apiKey: null, grant: openGrant(project.id, project.spec.team), revoked: false, expiresAtMs: null }
}

async function named<K extends 'project' | 'apiKey'>(
  ctx: Context,
  tenant: string,
  kind: K,
  ref: string | null | undefined,
): Promise<Resource<K> | 'missing' | null> {
  if (ref == null) return null
  const found = await ctx.db.withTenant(tenant, (tx) => findResource(tx, tenant, ref))
  return found?.kind === kind ? (found as Resource<K>) : 'missing'
}

/** What any key of a project has, before anything is bound to it. */
function openGrant(project: string, team: string): ExplainedCaller['grant'] {
  return { team, project, principal: '', aliases: null, requestLabels: {}, allowedAddresses: [] }
}

/** The key as that revision has it. Of two secrets while it is being rotated, the one that holds longer. */
async function keyCaller(
  ctx: Context,
  tenant: string,
  apiKey: string,
  manifest: SnapshotManifest,
  config: SnapshotConfig,
): Promise<ExplainedCaller | NotExplained> {
  const shards: Uint8Array[] = []
  for (const { name, digest } of manifest.parts) {
    const bytes = name.startsWith('keys/') ? await part(ctx, tenant, digest) : undefined
    if (bytes) shards.push(bytes)
  }
  const rows = rowsOfKey(shards, apiKey)
  const lasting = (row: (typeof rows)[number]) => (row.revoked ? -1 : (row.expiresAtMs ?? Number.POSITIVE_INFINITY))
  const row = rows.sort((a, b) => lasting(b) - lasting(a))[0]
  if (!row) return { wrong: `The key is not there at revision ${manifest.revision}.` }
  return { apiKey, grant: config.grants[row.grant]!, revoked: row.revoked, expiresAtMs: row.expiresAtMs }
}
