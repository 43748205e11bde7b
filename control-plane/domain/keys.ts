import type { Resource } from '../../schema/config/index.ts'
import { formatDuration, parseDuration } from '../../schema/duration.ts'
import { handleOf } from '../../schema/handles.ts'
import { isPermission, namedOnly } from '../../schema/permissions.ts'
import type { Tx } from '../db/database.ts'
import type { Actor } from './actor.ts'
import { recordRefused } from './audit.ts'
import { checkLabelUse } from './check-labels.ts'
import type { Context } from './context.ts'
import { draftNew } from './draft.ts'
import { invalidInput, notFound, notPermitted, type UserError, type Written } from './errors.ts'
import { addSecret, endOf, outdateSecrets, revokeSecrets, type SecretRow, secretsOf } from './key-secrets.ts'
import type { Lookup } from './lookup.ts'
import { type Minted, mintOnce } from './mint.ts'
import { changeOf } from './plan.ts'
import { keyPermissions, lacking, rolePermissions } from './privileges.ts'
import { findResource, resourcesByIds } from './resources.ts'
import { lockTenant } from './tenant-lock.ts'
import { writeRevision } from './write.ts'
import { cursorOf } from './written.ts'

export type ApiKeyState = 'ACTIVE' | 'ROTATING' | 'REVOKED' | 'EXPIRED'

export interface ApiKeyIssueInput {
  idempotencyKey: string
  kind: 'APPLICATION' | 'ADMIN'
  name: string
  principal: string
  project?: string | null
  permissions?: string[] | null
  aliases?: string[] | null
  requestLabels?: Record<string, string> | null
  allowedAddresses?: string[] | null
  expiresAt?: string | null
  labels?: Record<string, string> | null
  reason?: string | null
}

export interface KeySecretWritten extends Written {
  apiKey: Resource<'apiKey'> | null
  /** Shown once; null on a replay or refusal. */
  secret: string | null
  replayed: boolean
}

export interface KeyWritten extends Written {
  apiKey: Resource<'apiKey'> | null
}

type Key = Resource<'apiKey'>
const overlapMsMax = 30 * 86_400_000

/** Makes a key and its first secret. Its permissions are never more than the issuer's. */
export async function apiKeyIssue(ctx: Context, actor: Actor, input: ApiKeyIssueInput): Promise<KeySecretWritten> {
  const { idempotencyKey, reason, ...fields } = input
  const mint = { operation: 'apiKey.issue', key: idempotencyKey, body: fields }
  const minted = await mintOnce<string>(
    ctx,
    actor,
    mint,
    ['key:issue', 'key:issue-own'],
    async (tx, lookup, tenant, errors) => {
      if (!actor.permissions.has('key:issue') && !(await isForSelf(lookup, actor, input, errors))) return undefined
      const draft = await draftNew(lookup, 'apiKey', fields, ctx.clock.now(), errors)
      if (!draft) return undefined
      const key = draft.after as Key
      checkIssue(actor, tenant, key, errors)
      checkLabelUse(tenant.spec.requestLabels, draft, errors)
      if (key.spec.expiresAt && Date.parse(key.spec.expiresAt) <= ctx.clock.now())
        errors.push(invalidInput(['expiresAt'], 'is in the past'))
      if (errors.length > 0) return undefined
      const changes = [changeOf(draft, (id) => id)]
      const { audit, resources } = await writeRevision(tx, ctx, actor, [draft], {
        action: mint.operation,
        reason,
        changes,
      })
      return { resource: resources[0]!, audit, extra: await addSecret(tx, ctx, actor.tenant, key) }
    },
  )
  return secretWritten(minted)
}

const secretWritten = ({ resource, extra, ...written }: Minted<string>): KeySecretWritten => ({
  ...written,
  apiKey: resource as Key | null,
  secret: extra,
})

function checkIssue(actor: Actor, tenant: Resource<'tenant'>, key: Key, errors: UserError[]) {
  if (key.spec.kind === 'APPLICATION') {
    if (key.spec.permissions) errors.push(invalidInput(['permissions'], 'an APPLICATION key has none; leave it out'))
    return
  }
  const named = key.spec.permissions
  named?.forEach((name, index) => {
    const path = ['permissions', String(index)]
    if (!isPermission(name)) errors.push(invalidInput(path, `there is no permission ${name}`))
    else if (!actor.permissions.has(name)) errors.push(notPermitted(name, path))
  })
  const brought = rolePermissions(tenant, key.spec.principal, actor.operates)
  if (named === null && lacking(actor.permissions, brought))
    key.spec.permissions = [...brought].filter((name) => actor.permissions.has(name))
  const idle = named?.filter((name) => isPermission(name) && !brought.has(name) && !namedOnly.has(name)) ?? []
  if (idle.length > 0)
    errors.push(invalidInput(['permissions'], `the principal's role does not bring ${idle.join(', ')}`))
}

/**
 * Whether a key is for one's own principal, and where it names a project, for one that one is a member of. Other principals
 * and projects are answered as if they were not there.
 */
async function isForSelf(lookup: Lookup, actor: Actor, input: ApiKeyIssueInput, errors: UserError[]): Promise<boolean> {
  const refs = [input.principal, ...(input.project ? [input.project] : [])]
  await lookup.load(refs)
  const before = errors.length
  if (actor.principal === null || lookup.find(input.principal)?.id !== actor.principal)
    errors.push(notFound(['principal'], input.principal))
  if (input.project && !(await isMember(lookup, actor.principal, input.project)))
    errors.push(notFound(['project'], input.project))
  return errors.length === before
}

async function isMember(lookup: Lookup, own: string | null, ref: string): Promise<boolean> {
  const project = lookup.find(ref)
  if (project?.kind !== 'project') return false
  await lookup.load([project.spec.team])
  const team = lookup.find(project.spec.team)
  const members = [...project.spec.members, ...(team?.kind === 'team' ? team.spec.members : [])]
  return members.some(({ principal }) => principal === own)
}

/** A second secret for the same key; the old one goes on working for `overlap` (a duration). */
export async function apiKeyRotate(
  ctx: Context,
  actor: Actor,
  input: { idempotencyKey: string; apiKey: string; overlap: string; reason?: string | null },
): Promise<KeySecretWritten> {
  const { idempotencyKey, reason, ...fields } = input
  const mint = { operation: 'apiKey.rotate', key: idempotencyKey, body: fields }
  const minted = await mintOnce<string>(
    ctx,
    actor,
    mint,
    ['key:issue', 'key:issue-own'],
    async (tx, lookup, tenant, errors) => {
      const overlapMs = parseDuration(input.overlap)
      if (overlapMs === undefined || overlapMs < 0 || overlapMs > overlapMsMax)
        errors.push(invalidInput(['overlap'], `must be a duration of at most ${formatDuration(overlapMsMax)}`))
      const key = await keyOf(lookup, input.apiKey)
      if (!key || !mayTouch(actor, key, 'key:issue')) return void errors.push(notFound(['apiKey'], input.apiKey))
      checkWielding(actor, tenant, key, errors)
      const secrets = await secretsOf(tx, actor.tenant, [key.id])
      const state = stateOf(key, secrets, ctx.clock.now())
      if (state === 'REVOKED' || state === 'EXPIRED')
        errors.push(invalidInput(['apiKey'], `is ${state.toLowerCase()}; issue a new key`))
      if (errors.length > 0) return undefined
      await outdateSecrets(tx, ctx, actor.tenant, key, ctx.clock.now() + overlapMs!)
      const secret = await addSecret(tx, ctx, actor.tenant, key)
      const audit = await noteSecret(tx, ctx, actor, key, mint.operation, reason, [
        secrets[0]?.prefix ?? null,
        secret.slice(0, 10),
      ])
      return { resource: key, audit, extra: secret }
    },
  )
  return secretWritten(minted)
}

async function keyOf(lookup: Lookup, ref: string): Promise<Key | undefined> {
  await lookup.load([ref])
  const found = lookup.find(ref)
  return found?.kind === 'apiKey' ? found : undefined
}

/** Any key with the permission, one's own with `key:issue-own`. All others are answered as if they were not there. */
function mayTouch(actor: Actor, key: Key, permission: 'key:issue' | 'key:revoke'): boolean {
  if (actor.permissions.has(permission)) return true
  return actor.principal === key.spec.principal && actor.permissions.has('key:issue-own')
}

/** A new secret of a key is the key: only who could have issued it may have one. */
function checkWielding(actor: Actor, tenant: Resource<'tenant'>, key: Key, errors: UserError[]) {
  if (key.spec.kind !== 'ADMIN') return
  const missing = lacking(actor.permissions, keyPermissions(tenant, key, actor.operates))
  if (missing) errors.push(notPermitted(missing, ['apiKey']))
}

/** A revision for a secret that changed while no field did: planes need it, and the log tells by its first characters. */
async function noteSecret(
  tx: Tx,
  ctx: Context,
  actor: Actor,
  key: Key,
  action: string,
  reason: string | null | undefined,
  [before, after]: [string | null, string | null],
) {
  const field = { path: ['secret'], before, after }
  const changes = [{ action: 'UPDATE' as const, ref: handleOf('apiKey', key.name), fields: [field] }]
  const targets = [{ id: key.id, name: key.name, changes: [field] }]
  return (await writeRevision(tx, ctx, actor, [], { action, reason, changes, targets })).audit
}

/** Ends a key for good: every secret of it, at once. Doing so again changes nothing. */
export async function apiKeyRevoke(
  ctx: Context,
  actor: Actor,
  input: { apiKey: string; reason: string },
): Promise<KeyWritten> {
  const revoked = await ctx.db.withTenant(actor.tenant, (tx) => revoke(tx, ctx, actor, input), {
    keep: ({ errors }) => errors.length === 0,
  })
  const refusal = revoked.errors.find(({ type }) => type === 'NotPermitted')
  const audit = refusal ? await recordRefused(ctx, actor, 'apiKey.revoke', 'key:revoke') : revoked.audit
  return { ...revoked, audit, cursor: await cursorOf(ctx, actor.tenant, audit) }
}

async function revoke(
  tx: Tx,
  ctx: Context,
  actor: Actor,
  input: { apiKey: string; reason: string },
): Promise<KeyWritten> {
  const errors: UserError[] = []
  const nothing = { errors, audit: null, cursor: null, apiKey: null }
  if (!actor.permissions.has('key:revoke') && !actor.permissions.has('key:issue-own'))
    return { ...nothing, errors: [notPermitted('key:revoke', ['apiKey'])] }
  await lockTenant(tx, actor.tenant)
  const key = await findResource(tx, actor.tenant, input.apiKey)
  if (key?.kind !== 'apiKey' || !mayTouch(actor, key, 'key:revoke'))
    return { ...nothing, errors: [notFound(['apiKey'], input.apiKey)] }
  const [newest] = await secretsOf(tx, actor.tenant, [key.id])
  if (!(await revokeSecrets(tx, ctx, actor.tenant, key))) return { ...nothing, apiKey: key }
  const told: [string | null, null] = [newest?.prefix ?? null, null]
  const audit = await noteSecret(tx, ctx, actor, key, 'apiKey.revoke', input.reason, told)
  return { ...nothing, audit, apiKey: key }
}

export interface ApiKeyFacts {
  prefix: string
  state: ApiKeyState
  /** When the newest secret stops working. */
  expiresAt: Date | null
  lastUsedAt: Date | null
}

/** What is known of keys beside their declaration, in the order of `ids`. */
export async function apiKeyFacts(
  tx: Tx,
  tenant: string,
  ids: readonly string[],
  nowMs: number,
): Promise<(ApiKeyFacts | undefined)[]> {
  const keys = await resourcesByIds(tx, tenant, ids)
  const byKey = Map.groupBy(await secretsOf(tx, tenant, ids), ({ apiKey }) => apiKey)
  return keys.map((key) => {
    const secrets = key && byKey.get(key.id)
    if (key?.kind !== 'apiKey' || !secrets) return undefined
    const end = endOf(key, secrets[0]!)
    const used = secrets.flatMap(({ lastUsedAt }) => (lastUsedAt ? [lastUsedAt.getTime()] : []))
    return {
      prefix: secrets[0]!.prefix,
      state: stateOf(key, secrets, nowMs),
      expiresAt: end === null ? null : new Date(end),
      lastUsedAt: used.length > 0 ? new Date(Math.max(...used)) : null,
    }
  })
}

function stateOf(key: Key, secrets: SecretRow[], nowMs: number): ApiKeyState {
  if (secrets.every(({ revokedAt }) => revokedAt)) return 'REVOKED'
  const working = secrets.filter(
    (secret) => !secret.revokedAt && (endOf(key, secret) ?? Number.POSITIVE_INFINITY) > nowMs,
  )
  if (working.length === 0) return 'EXPIRED'
  return working.length > 1 ? 'ROTATING' : 'ACTIVE'
}
