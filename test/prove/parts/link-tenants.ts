import { sql } from 'drizzle-orm'
import type { Database } from '../../../control-plane/db/database.ts'
import { createTenant } from '../../../control-plane/domain/tenants.ts'
import { openVault } from '../../../control-plane/domain/vault.ts'
import { ask } from './replicas.ts'

/** A tenant with a model at `upstream`, an alias `small`, a fleet, and as many application keys as asked for. */
export interface ProofTenant {
  id: string
  adminToken: string
  planeToken: string
  keys: number
  /** The n-th key, from 1. */
  key(n: number): { secret: string; name: string }
}

const applyDocument = `mutation ($input: ApplyInput!) { apply(input: $input) { errors { path message } revision } }`
const archiveDocument = `mutation ($input: ArchiveInput!) { archive(input: $input) { errors { path message } } }`
const enrollDocument = `mutation ($input: DataPlaneEnrollInput!) {
  dataPlaneEnroll(input: $input) { errors { path message } enrollmentToken }
}`
const issueDocument = `mutation ($input: ApiKeyIssueInput!) {
  apiKeyIssue(input: $input) { errors { path message } apiKey { id } }
}`

export async function makeTenant(
  db: Database,
  masterKey: string,
  url: string,
  wish: { name: string; keys: number; upstream: string },
): Promise<ProofTenant> {
  const streams = { auditPosition: async () => null } as never
  const context = { db, clock: { now: Date.now }, vault: openVault(masterKey), streams }
  const created = await createTenant(context, { idempotencyKey: wish.name, name: wish.name })
  if (!created.tenant || !created.adminToken) throw new Error(JSON.stringify(created.errors))
  const [id, adminToken] = [created.tenant, created.adminToken]
  await declare(url, adminToken, house(wish.upstream))
  const issued = await ask<{ apiKeyIssue: { apiKey: { id: string } } }>(url, adminToken, issueDocument, {
    input: {
      idempotencyKey: 'pattern',
      kind: 'APPLICATION',
      name: 'pattern',
      principal: 'principal/application',
      project: 'project/shop',
    },
  })
  await copyKey(db, id, issued.apiKeyIssue.apiKey.id, wish.keys)
  const enrolled = await ask<{ dataPlaneEnroll: { enrollmentToken: string } }>(url, adminToken, enrollDocument, {
    input: { idempotencyKey: 'edge', name: 'edge', adapter: 'STANDALONE' },
  })
  return {
    ...{ id, adminToken, planeToken: enrolled.dataPlaneEnroll.enrollmentToken, keys: wish.keys },
    key: (n) => ({ secret: secretOf(id, n), name: `api-key/bulk-${n}` }),
  }
}

/** Applies at the newest revision. */
export async function declare(url: string, token: string, resources: object[]): Promise<void> {
  const ifRevision = await revisionAt(url, token)
  await ask(url, token, applyDocument, { input: { resources, ifRevision, dryRun: false, reason: 'proof' } })
}

export async function archive(url: string, token: string, ref: string): Promise<void> {
  const ifRevision = await revisionAt(url, token)
  await ask(url, token, archiveDocument, { input: { refs: [ref], ifRevision, dryRun: false, reason: 'proof' } })
}

async function revisionAt(url: string, token: string): Promise<number> {
  const { tenant } = await ask<{ tenant: { configRevision: number } }>(url, token, '{ tenant { configRevision } }')
  return tenant.configRevision
}

const house = (upstream: string) => [
  { team: { name: 'sales' } },
  { principal: { name: 'application', kind: 'SERVICE' } },
  { project: { name: 'shop', team: 'team/sales', purpose: 'Proof' } },
  {
    provider: {
      ...{ name: 'scripted', platform: 'OPENAI_COMPATIBLE' },
      ...{ baseUrl: `${upstream}/v1`, selfHosted: true },
    },
  },
  { model: { name: 'small', provider: 'provider/scripted', upstreamName: 'small', contextTokens: 4096 } },
  { alias: { name: 'small', model: 'model/small' } },
]

const digits = (tenant: string, n: number, half: string) =>
  new Bun.CryptoHasher('md5').update(`${tenant}${half}${n}`).digest('hex')
const secretOf = (tenant: string, n: number) => `slk_${(digits(tenant, n, 'a') + digits(tenant, n, 'b')).slice(0, 40)}`

/** A hundred thousand mutations would take an hour: the rows that they leave, by SQL. */
export async function copyKey(db: Database, tenant: string, pattern: string, count: number): Promise<void> {
  const n = sql`generate_series(1, ${count}::int) as n`
  const id = sql`'key_' || md5(${tenant}::text || n)`
  const secret = sql`'slk_' || substr(md5(${tenant}::text || 'a' || n) || md5(${tenant}::text || 'b' || n), 1, 40)`
  await db.withTenant(tenant, async (tx) => {
    await tx.execute(sql`
      insert into resource (tenant, id, kind, name, labels, spec, revision, created_at, updated_at)
      select tenant, ${id}, kind, 'bulk-' || n, labels, spec, revision, created_at, updated_at
      from resource, ${n} where resource.tenant = ${tenant} and resource.id = ${pattern}`)
    await tx.execute(sql`
      insert into resource_reference (tenant, from_id, path, to_id)
      select tenant, ${id}, path, to_id
      from resource_reference, ${n} where tenant = ${tenant} and from_id = ${pattern}`)
    await tx.execute(sql`
      insert into api_key_secret (tenant, api_key, hash, prefix, created_at)
      select ${tenant}, ${id}, sha256(convert_to(${secret}, 'UTF8')), left(${secret}, 10), now() from ${n}`)
  })
}
