import type { Resource } from '../../schema/config/index.ts'
import { handleOf } from '../../schema/handles.ts'
import type { ProviderFinding } from '../../schema/link.ts'
import type { Permission } from '../../schema/permissions.ts'
import type { Tx } from '../db/database.ts'
import type { Actor } from './actor.ts'
import { type AuditRow, record, recordRefused } from './audit.ts'
import type { Context } from './context.ts'
import {
  invalidInput,
  limitReached,
  noGateway,
  notFound,
  notPermitted,
  type UserError,
  type Written,
} from './errors.ts'
import { desiredRevisionOf, listInstances } from './instances.ts'
import { Lookup } from './lookup.ts'
import { addCheck, awaitFinding, type Check, checksMax } from './provider-check-rows.ts'
import { listResources } from './resources.ts'
import { cursorOf } from './written.ts'

export interface ProviderCheckInput {
  provider: string
  /** Absent = the one that a route without a credential takes: the provider's oldest. */
  credential?: string | null
  /** Whose gateways may make the call; absent = any. */
  dataPlane?: string | null
}

export interface ProviderChecked extends Written, ProviderFinding {
  /** Id of the data plane whose gateway made the call; null where none did. */
  dataPlane: string | null
}

const action = 'provider.check'
const permission: Permission = 'config:write'
const nothingFound: ProviderFinding = { ok: false, status: null, latencyMs: null, detail: null, models: [] }

interface Asked {
  errors: UserError[]
  audit: AuditRow | null
  check: Check | null
}

/**
 * Has a connected gateway call a provider once with a credential, and tells what came of it. Credentials and the network path exist
 * on gateways alone, so this only asks. Every call has an audit entry, written before it is made.
 */
export async function providerCheck(ctx: Context, actor: Actor, input: ProviderCheckInput): Promise<ProviderChecked> {
  if (!actor.permissions.has(permission)) {
    const audit = await recordRefused(ctx, actor, action, permission)
    const cursor = await cursorOf(ctx, actor.tenant, audit)
    return { ...nothingFound, errors: [notPermitted(permission)], audit, cursor, dataPlane: null }
  }
  const { errors, audit, check } = await ctx.db.withTenant(actor.tenant, (tx) => ask(tx, ctx, actor, input), {
    keep: (asked) => asked.errors.length === 0,
  })
  if (!check) return { ...nothingFound, errors, audit, cursor: null, dataPlane: null }
  const outcome = await awaitFinding(ctx, actor.tenant, check.id)
  const cursor = await cursorOf(ctx, actor.tenant, audit)
  if (outcome === 'UNTAKEN') return { ...nothingFound, errors: [noGateway(noneCan)], audit, cursor, dataPlane: null }
  return { ...outcome.finding, errors, audit, cursor, dataPlane: outcome.dataPlane }
}

const noneConnected = 'No gateway is connected that could call the provider.'
const noneCan = 'No connected gateway can check providers: they are of an older version, or have no room for it now.'

async function ask(tx: Tx, ctx: Context, actor: Actor, input: ProviderCheckInput): Promise<Asked> {
  const errors: UserError[] = []
  const target = await targetOf(tx, actor.tenant, input, errors)
  if (!target || errors.length > 0) return { errors, audit: null, check: null }
  if (!(await isGatewayThere(tx, ctx, actor.tenant, target.dataPlane)))
    return { errors: [noGateway(noneConnected)], audit: null, check: null }
  const { provider, credential, dataPlane } = target
  const targets = [provider, credential]
    .filter((one) => one !== null)
    .map(({ id, name }) => ({ id, name, changes: [] }))
  // Locks the tenant, so that the limit below holds.
  const audit = await record(tx, ctx, actor, { action, targets })
  const check = await addCheck(tx, ctx, actor.tenant, {
    ...{ provider: provider.id, credential: credential?.id ?? null, dataPlane: dataPlane?.id ?? null },
    revision: await desiredRevisionOf(tx, actor.tenant),
  })
  if (!check) errors.push(limitReached([], 'providers can be checked at once', checksMax))
  await ctx.db.notify(tx, 'records', actor.tenant)
  return { errors, audit: check && audit, check }
}

async function targetOf(tx: Tx, tenant: string, input: ProviderCheckInput, errors: UserError[]) {
  const lookup = new Lookup(tx, tenant)
  await lookup.load([input.provider, input.credential, input.dataPlane].filter((ref) => typeof ref === 'string'))
  const find = <K extends 'provider' | 'credential' | 'dataPlane'>(kind: K): Resource<K> | null => {
    const ref = input[kind] ?? null
    const found = ref === null ? null : lookup.find(ref)
    if (found?.kind === kind) return found as Resource<K>
    if (ref !== null) errors.push(notFound([kind], ref))
    return null
  }
  const [provider, credential, dataPlane] = [find('provider'), find('credential'), find('dataPlane')]
  if (!provider || errors.length > 0) return undefined
  if (credential && credential.spec.provider !== provider.id)
    errors.push(invalidInput(['credential'], `is not of ${handleOf('provider', provider.name)}`))
  return { provider, credential: credential ?? (await oldestOf(tx, tenant, provider.id)), dataPlane }
}

async function oldestOf(tx: Tx, tenant: string, provider: string): Promise<Resource<'credential'> | null> {
  const { rows } = await listResources(tx, tenant, { kinds: ['credential'], where: { provider: [provider] }, first: 1 })
  return (rows[0] as Resource<'credential'> | undefined) ?? null
}

async function isGatewayThere(tx: Tx, ctx: Context, tenant: string, plane: Resource | null): Promise<boolean> {
  const state = ['CURRENT' as const, 'BEHIND' as const]
  const { rows } = await listInstances(tx, tenant, { dataPlane: plane?.id, state, first: 1 }, ctx.clock.now())
  return rows.length > 0
}
