import { randomBytes } from 'node:crypto'
import { and, eq, inArray } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import { handleOf } from '../../schema/handles.ts'
import type { Tx } from '../db/database.ts'
import { credentialSecret } from '../db/tables.ts'
import type { Actor } from './actor.ts'
import type { Context } from './context.ts'
import { invalidInput, notFound, type UserError, type Written } from './errors.ts'
import { mintOnce } from './mint.ts'
import { advanceTenant } from './tenant-lock.ts'
import { writeRevision } from './write.ts'

export interface CredentialWritten extends Written {
  credential: Resource<'credential'> | null
  replayed: boolean
}

export interface CredentialSetInput {
  idempotencyKey: string
  credential: string
  secret: string
  reason?: string | null
}

const secretBytesMax = 64 * 1024
const contentKeyBytes = 32
const fingerprintDigits = 12

export const secretUse = (credential: string, version: number) => `credential/${credential}/${version}`
export const contentKeyUse = (tenant: string) => `content-key/${tenant}`

/** A fresh content key, sealed. Planes that no longer get it cannot open what is stored after it. */
export function newContentKey(ctx: Pick<Context, 'vault'>, tenant: string): Buffer {
  return ctx.vault.seal(contentKeyUse(tenant), randomBytes(contentKeyBytes))
}

/** Stores a provider's secret, sealed. It is never returned; `fingerprint` and `version` tell that it changed. */
export async function credentialSet(ctx: Context, actor: Actor, input: CredentialSetInput): Promise<CredentialWritten> {
  const { idempotencyKey, reason, ...fields } = input
  const mint = { operation: 'credential.set', key: idempotencyKey, body: fields }
  const {
    resource,
    extra: _,
    ...written
  } = await mintOnce<true>(ctx, actor, mint, ['credential:set'], async (tx, lookup, _tenant, errors) => {
    await lookup.load([input.credential])
    const credential = lookup.find(input.credential)
    if (credential?.kind !== 'credential') return void errors.push(notFound(['credential'], input.credential))
    checkSecret(credential, input.secret, errors)
    if (errors.length > 0) return undefined
    const [before, after] = await storeSecret(tx, ctx, actor.tenant, credential.id, input.secret)
    const field = { path: ['secret'], before, after }
    const handle = handleOf('credential', credential.name)
    const { audit } = await writeRevision(tx, ctx, actor, [], {
      ...{ action: mint.operation, reason },
      changes: [{ action: 'UPDATE', ref: handle, fields: [field] }],
      targets: [{ id: credential.id, name: credential.name, changes: [field] }],
    })
    return { resource: credential, audit, extra: true }
  })
  return { ...written, credential: resource as Resource<'credential'> | null }
}

function checkSecret(credential: Resource<'credential'>, secret: string, errors: UserError[]) {
  if (credential.spec.source !== 'STORED')
    errors.push(invalidInput(['credential'], `has source ${credential.spec.source}; only a STORED one is set here`))
  if (secret.trim() === '') errors.push(invalidInput(['secret'], 'is empty'))
  if (Buffer.byteLength(secret) > secretBytesMax)
    errors.push(invalidInput(['secret'], `is longer than ${secretBytesMax} bytes`))
}

/** Puts the new version in the old one's place; what is told of both is version and fingerprint. */
async function storeSecret(tx: Tx, ctx: Context, tenant: string, credential: string, secret: string) {
  const [old] = await tx
    .select()
    .from(credentialSecret)
    .where(and(eq(credentialSecret.tenant, tenant), eq(credentialSecret.credential, credential)))
  const version = (old?.version ?? 0) + 1
  const row = {
    version,
    sealed: ctx.vault.seal(secretUse(credential, version), Buffer.from(secret)),
    fingerprint: ctx.vault.digest(`credential/${tenant}`, secret).slice(0, fingerprintDigits),
    rotatedAt: new Date(ctx.clock.now()),
  }
  await tx
    .insert(credentialSecret)
    .values({ tenant, credential, ...row })
    .onConflictDoUpdate({ target: [credentialSecret.tenant, credentialSecret.credential], set: row })
  await advanceTenant(tx, tenant, { sealedContentKey: newContentKey(ctx, tenant) })
  const told = (one: { version: number; fingerprint: string }) => `version ${one.version}, ${one.fingerprint}`
  return [old ? told(old) : null, told(row)] as const
}

export interface CredentialFacts {
  /** First 12 hex digits of a keyed hash; '' while no secret is set. */
  fingerprint: string
  /** 0 while no secret is set. */
  version: number
  rotatedAt: Date | null
}

/** In the order of `ids`. */
export async function credentialFacts(tx: Tx, tenant: string, ids: readonly string[]): Promise<CredentialFacts[]> {
  if (ids.length === 0) return []
  const rows = await tx
    .select()
    .from(credentialSecret)
    .where(and(eq(credentialSecret.tenant, tenant), inArray(credentialSecret.credential, [...ids])))
  const found = new Map(rows.map((row) => [row.credential, row]))
  return ids.map((id) => {
    const { fingerprint = '', version = 0, rotatedAt = null } = found.get(id) ?? {}
    return { fingerprint, version, rotatedAt }
  })
}
