import type { Resource } from '../../schema/config/index.ts'
import type { Permission } from '../../schema/permissions.ts'
import type { Tx } from '../db/database.ts'
import type { Actor } from './actor.ts'
import { type AuditRow, findAudit, recordRefused } from './audit.ts'
import type { Context } from './context.ts'
import { notPermitted, type UserError } from './errors.ts'
import { type Mint, remember, replayOf } from './idempotency.ts'
import { Lookup } from './lookup.ts'
import { resourcesByIds } from './resources.ts'
import { lockTenant } from './tenant-lock.ts'
import { cursorOf } from './written.ts'

export interface Minted<Extra> {
  errors: UserError[]
  audit: AuditRow | null
  cursor: string | null
  resource: Resource | null
  replayed: boolean
  /** What is told once; null on a replay or a refusal. */
  extra: Extra | null
}

export type Minting<Extra> = (
  tx: Tx,
  lookup: Lookup,
  tenant: Resource<'tenant'>,
  errors: UserError[],
) => Promise<{ resource: Resource; audit: AuditRow; extra: Extra } | undefined>

/**
 * A write that mints: under the tenant's lock, once per idempotency key, all errors at once, and nothing kept where there is
 * one. A refused attempt is audited. Who holds none of `needs` is refused before anything is looked up, so that the refusal
 * tells nothing of what is there.
 */
export async function mintOnce<Extra>(
  ctx: Context,
  actor: Actor,
  mint: Mint,
  needs: readonly [Permission, ...Permission[]],
  minting: Minting<Extra>,
  options: MintOptions = {},
): Promise<Minted<Extra>> {
  const held = needs.some((permission) => actor.permissions.has(permission))
  const outcome = held
    ? await once(ctx, actor, mint, minting, options)
    : { ...unminted, errors: [notPermitted(needs[0])] }
  const refused = outcome.errors.find((error) => error.type === 'NotPermitted')
  const audit = refused
    ? await recordRefused(ctx, actor, mint.operation, refused.permission as Permission)
    : outcome.audit
  return { ...outcome, audit, cursor: await cursorOf(ctx, actor.tenant, audit) }
}

const unminted = { audit: null, cursor: null, resource: null, replayed: false, extra: null }

export interface MintOptions {
  /** The transaction writes in other tenants too, as an operator of the installation may. */
  acrossTenants?: boolean
}

function once<Extra>(
  ctx: Context,
  actor: Actor,
  mint: Mint,
  minting: Minting<Extra>,
  { acrossTenants }: MintOptions,
): Promise<Minted<Extra>> {
  const work = (tx: Tx) => attempt(tx, ctx, actor, mint, minting)
  const keep = ({ errors }: Minted<Extra>) => errors.length === 0
  return acrossTenants ? ctx.db.withInstallation(work, { keep }) : ctx.db.withTenant(actor.tenant, work, { keep })
}

async function attempt<Extra>(
  tx: Tx,
  ctx: Context,
  actor: Actor,
  mint: Mint,
  minting: Minting<Extra>,
): Promise<Minted<Extra>> {
  const errors: UserError[] = []
  const nothing = { ...unminted, errors }
  await lockTenant(tx, actor.tenant)
  const before = await replayOf(tx, ctx, actor, mint)
  if (before && 'error' in before) return { ...nothing, errors: [before.error] }
  if (before) {
    const [resource] = await resourcesByIds(tx, actor.tenant, [before.remembered.resource])
    const audit = (await findAudit(tx, actor.tenant, before.remembered.audit)) ?? null
    return { ...nothing, resource: resource ?? null, audit, replayed: true }
  }
  const lookup = new Lookup(tx, actor.tenant)
  await lookup.load([actor.tenant])
  const made = await minting(tx, lookup, lookup.stored(actor.tenant) as Resource<'tenant'>, errors)
  if (!made || errors.length > 0) return nothing
  await remember(tx, ctx, actor, mint, { resource: made.resource.id, audit: made.audit.id })
  return { ...nothing, ...made }
}
