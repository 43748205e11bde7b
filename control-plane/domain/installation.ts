import { generateKeyPairSync } from 'node:crypto'
import { and, asc, eq, isNull, sql } from 'drizzle-orm'
import { declarations, type Resource } from '../../schema/config/index.ts'
import { chainStart } from '../../schema/flight-record.ts'
import { type IdKind, mintId } from '../../schema/ids.ts'
import type { Tx } from '../db/database.ts'
import { installation, logState, resource, tenant as tenantTable } from '../db/tables.ts'
import { systemActor } from './actor.ts'
import type { AuditRow } from './audit.ts'
import type { Context } from './context.ts'
import { newContentKey } from './credentials.ts'
import { parseName, parseSpec } from './draft-spec.ts'
import { invalidInput, type UserError, type Written } from './errors.ts'
import { remember, replayOf } from './idempotency.ts'
import { addSecret } from './key-secrets.ts'
import { changeOf, type Draft } from './plan.ts'
import { writeRevision } from './write.ts'
import { cursorOf } from './written.ts'

/** A signed document (DSSE), as `air-gap/` makes it. */
export interface SignedDocument {
  payloadType: string
  payload: string
  signatures: { keyid: string; sig: string }[]
}

/** Keys as PEM: PKCS #8 private, SPKI public. */
export interface KeyPair {
  privateKey: string
  publicKey: string
}

/** Makes the trust root of a new installation: signed by `root`, naming `online` for the role of connected planes. */
export type MakeTrustRoot = (input: {
  installation: string
  root: KeyPair
  online: KeyPair
  nowMs: number
}) => SignedDocument | Promise<SignedDocument>

export interface Installation {
  id: string
  trustRoot: SignedDocument
  /** Signs envelopes and welcomes. Never logged. */
  onlineKey: KeyPair
}

const installationLock = 5_834_520_002
const masterCheck = 'sluice master key'
const rootUse = 'installation/root-key'
const onlineUse = 'installation/online-key'

/**
 * First start: makes the installation with its keys and trust root. Later starts: opens them. A wrong master key is refused
 * with one sentence.
 */
export async function initialise(
  ctx: Pick<Context, 'db' | 'clock' | 'vault'>,
  options: { makeTrustRoot: MakeTrustRoot },
): Promise<Installation | { refused: string }> {
  return ctx.db.withInstallation(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(${installationLock})`)
    const [row] = await tx.select().from(installation)
    return row ? open(ctx, row) : make(tx, ctx, options.makeTrustRoot)
  })
}

function open(
  { vault }: Pick<Context, 'vault'>,
  row: typeof installation.$inferSelect,
): Installation | { refused: string } {
  const online = vault.open(masterCheck, row.masterCheck) && vault.open(onlineUse, row.sealedOnlineKey)
  if (online)
    return { id: row.id, trustRoot: row.trustRoot as SignedDocument, onlineKey: JSON.parse(online.toString()) }
  return {
    refused:
      'The master key is not the one this installation was made with; start with the former SLUICE_MASTER_KEY or master.key.',
  }
}

async function make(
  tx: Tx,
  ctx: Pick<Context, 'clock' | 'vault'>,
  makeTrustRoot: MakeTrustRoot,
): Promise<Installation> {
  const nowMs = ctx.clock.now()
  const id = mintId('installation', nowMs)
  const [root, online] = [newKeyPair(), newKeyPair()]
  const trustRoot = await makeTrustRoot({ installation: id, root, online, nowMs })
  await tx.insert(installation).values({
    id,
    createdAt: new Date(nowMs),
    masterCheck: ctx.vault.seal(masterCheck, Buffer.from(masterCheck)),
    trustRoot,
    sealedRootKey: ctx.vault.seal(rootUse, Buffer.from(JSON.stringify(root))),
    sealedOnlineKey: ctx.vault.seal(onlineUse, Buffer.from(JSON.stringify(online))),
  })
  return { id, trustRoot, onlineKey: online }
}

function newKeyPair(): KeyPair {
  return generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
}

export interface TenantCreateInput {
  idempotencyKey: string
  name: string
  currency?: string | null
  /** Of the first principal, who becomes OWNER. */
  ownerName?: string | null
  owner?: { issuer: string; subject: string } | null
  reason?: string | null
}

export interface TenantCreated extends Written {
  tenant: string | null
  /** The first `sla_` token; shown once. */
  adminToken: string | null
  replayed: boolean
}

/** A tenant with its first owner and that owner's admin token. Operators of the installation only: it asks for no permission. */
export async function createTenant(ctx: Context, input: TenantCreateInput): Promise<TenantCreated> {
  const created = await ctx.db.withInstallation((tx) => create(tx, ctx, input), {
    keep: ({ errors }) => errors.length === 0,
  })
  return { ...created, cursor: created.tenant && (await cursorOf(ctx, created.tenant, created.audit)) }
}

async function create(tx: Tx, ctx: Context, input: TenantCreateInput): Promise<TenantCreated> {
  const { idempotencyKey, reason: _, ...body } = input
  const errors: UserError[] = []
  const nothing = { errors, audit: null, cursor: null, tenant: null, adminToken: null, replayed: false }
  await tx.execute(sql`select pg_advisory_xact_lock(${installationLock})`)
  const operators = systemActor('')
  const mint = { operation: 'tenant.create', key: idempotencyKey, body }
  const before = await replayOf(tx, ctx, operators, mint)
  if (before && 'error' in before) return { ...nothing, errors: [before.error] }
  if (before) return { ...nothing, tenant: before.remembered.resource, replayed: true }
  if (await isNamed(tx, input.name)) errors.push(invalidInput(['name'], 'is the name of a tenant already'))
  const drafts = firstDrafts(input, ctx.clock.now(), errors)
  if (errors.length > 0) return nothing
  const { tenant, adminToken, audit } = await writeTenant(tx, ctx, drafts, input.reason)
  await remember(tx, ctx, operators, mint, { resource: tenant, audit: audit.id })
  return { ...nothing, audit, tenant, adminToken }
}

async function isNamed(tx: Tx, name: string): Promise<boolean> {
  const taken = and(eq(resource.kind, 'tenant'), eq(resource.name, name), isNull(resource.archivedAt))
  return (await tx.select({ id: resource.id }).from(resource).where(taken).limit(1)).length > 0
}

/** The tenant, its owner, and the owner's first key. */
function firstDrafts(input: TenantCreateInput, nowMs: number, errors: UserError[]): Draft[] {
  const name = parseName({ name: input.name }, [], errors) ?? ''
  const owner = mintId('principal', nowMs)
  const identities = input.owner ? [input.owner] : []
  const draft = (kind: Resource['kind'], id: string, of: string, fields: Record<string, unknown>): Draft => {
    const spec = parseSpec(kind, fields, undefined, [], errors) ?? {}
    errors.push(
      ...(declarations[kind].rules?.(spec as never) ?? []).map(({ path, message }) => invalidInput(path, message)),
    )
    const stamps = { createdAt: new Date(nowMs), updatedAt: new Date(nowMs), revision: 0, archivedAt: null }
    return {
      before: undefined,
      after: { id, kind, name: of, labels: {}, spec, ...stamps } as unknown as Resource,
      path: [],
    }
  }
  const id = (kind: IdKind) => mintId(kind, nowMs)
  const members = [{ principal: owner, role: 'OWNER' }]
  return [
    draft('tenant', id('tenant'), name, { currency: input.currency ?? undefined, members }),
    draft('principal', owner, input.ownerName ?? 'owner', { kind: 'PERSON', identities }),
    draft('apiKey', id('apiKey'), 'first-admin', { kind: 'ADMIN', principal: owner }),
  ]
}

async function writeTenant(
  tx: Tx,
  ctx: Context,
  drafts: Draft[],
  reason: string | null | undefined,
): Promise<{ tenant: string; adminToken: string; audit: AuditRow }> {
  const tenant = drafts[0]!.after.id
  await tx.insert(tenantTable).values({
    id: tenant,
    createdAt: new Date(ctx.clock.now()),
    auditHash: chainStart,
    sealedContentKey: newContentKey(ctx, tenant),
  })
  await tx.insert(logState).values({ tenant })
  const changes = drafts.map((draft) => changeOf(draft, (id) => id))
  const act = { action: 'tenant.create', reason, changes }
  const { audit } = await writeRevision(tx, ctx, systemActor(tenant), drafts, act)
  return { tenant, adminToken: await addSecret(tx, ctx, tenant, drafts[2]!.after as Resource<'apiKey'>), audit }
}

/** Tenants of this installation, oldest first. */
export async function listTenants(ctx: Context): Promise<{ id: string; name: string }[]> {
  return ctx.db.withInstallation((tx) =>
    tx
      .select({ id: resource.id, name: resource.name })
      .from(resource)
      .where(and(eq(resource.kind, 'tenant'), isNull(resource.archivedAt)))
      .orderBy(asc(resource.id)),
  )
}
