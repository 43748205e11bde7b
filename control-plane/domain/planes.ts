import type { Resource } from '../../schema/config/index.ts'
import { handleOf } from '../../schema/handles.ts'
import type { Tx } from '../db/database.ts'
import type { Actor } from './actor.ts'
import { type AuditRow, record } from './audit.ts'
import type { Context } from './context.ts'
import { draftNew } from './draft.ts'
import { invalidInput, type UserError, type Written } from './errors.ts'
import type { Lookup } from './lookup.ts'
import { mintOnce } from './mint.ts'
import { changeOf } from './plan.ts'
import { addInstance, isEncryptionKey, isSigningKey, mintEnrolmentToken } from './plane-joining.ts'
import { declareFurther, furtherTenants } from './plane-tenants.ts'
import { writeRevision } from './write.ts'

export * from './instances.ts'
export { type Redeemed, type Redemption, redeemToken } from './plane-joining.ts'
export {
  findInstance,
  findSender,
  gone,
  type Heartbeat,
  type LinkedInstance,
  type LinkName,
  openEpoch,
  seen,
  tellSilent,
} from './plane-links.ts'

export interface DataPlaneEnrollInput {
  idempotencyKey: string
  name: string
  adapter: 'STANDALONE' | 'ENVOY_EXT_PROC' | 'AIR_GAPPED'
  /** Of a site's enrolment file; online planes send theirs with the token. */
  signingKey?: string | null
  encryptionKey?: string | null
  labels?: Record<string, string> | null
  /** Tenants that it serves beside the caller's own, by id or name: for operators of the installation. */
  tenants?: string[] | null
  reason?: string | null
}

export interface Enrolled extends Written {
  dataPlane: Resource<'dataPlane'> | null
  /** `sle_…`, shown once; null on a replay. For a name that exists: a new token for the same fleet. */
  enrollmentToken: string | null
  replayed: boolean
}

/** Declares a fleet and gives the token that its processes enrol with, as often as they are started while it lasts. */
export async function dataPlaneEnroll(ctx: Context, actor: Actor, input: DataPlaneEnrollInput): Promise<Enrolled> {
  const { idempotencyKey, reason, ...fields } = input
  const mint = { operation: 'dataPlane.enroll', key: idempotencyKey, body: fields }
  const further = await furtherTenants(ctx, actor, input.tenants ?? [])
  const { resource, extra, ...written } = await mintOnce<string>(
    ctx,
    actor,
    mint,
    ['plane:enroll'],
    async (tx, lookup, _, errors) => {
      errors.push(...further.errors)
      checkSiteKeys(input, errors)
      const made = await declarePlane(tx, ctx, actor, lookup, input, errors)
      if (!made || errors.length > 0) return undefined
      const plane = made.resource
      for (const one of further.tenants) await declareFurther(tx, ctx, actor, one, plane, input, errors)
      if (errors.length > 0) return undefined
      const tenants = [actor.tenant, ...further.tenants.map(({ there }) => there.tenant)]
      const { signingKey, encryptionKey } = input
      if (signingKey && encryptionKey)
        await addInstance(tx, ctx, tenants, plane.id, { signingKey, encryptionKey, host: null, version: null })
      return { ...made, extra: await mintEnrolmentToken(tx, ctx, tenants, plane.id) }
    },
    { acrossTenants: further.tenants.length > 0 },
  )
  return { ...written, dataPlane: resource as Resource<'dataPlane'> | null, enrollmentToken: extra }
}

function checkSiteKeys(input: DataPlaneEnrollInput, errors: UserError[]) {
  const { signingKey, encryptionKey } = input
  if (!signingKey && !encryptionKey) return
  if (!signingKey || !isSigningKey(signingKey))
    errors.push(invalidInput(['signingKey'], 'must be an Ed25519 public key (PEM), given with encryptionKey'))
  if (!encryptionKey || !isEncryptionKey(encryptionKey))
    errors.push(invalidInput(['encryptionKey'], 'must be an age recipient (age1…), given with signingKey'))
}

async function declarePlane(
  tx: Tx,
  ctx: Context,
  actor: Actor,
  lookup: Lookup,
  input: DataPlaneEnrollInput,
  errors: UserError[],
): Promise<{ resource: Resource; audit: AuditRow } | undefined> {
  const handle = handleOf('dataPlane', input.name)
  await lookup.load([handle])
  const known = lookup.find(handle)
  const { reason } = input
  const action = 'dataPlane.enroll'
  if (known?.kind === 'dataPlane') {
    if (known.spec.adapter !== input.adapter)
      return void errors.push(invalidInput(['adapter'], `${handle} is declared as ${known.spec.adapter}`))
    const targets = [{ id: known.id, name: known.name, changes: [] }]
    const audit = await record(tx, ctx, actor, { action, reason, targets })
    await ctx.db.notify(tx, 'records', actor.tenant)
    return { resource: known, audit }
  }
  const { name, adapter, labels } = input
  const draft = await draftNew(lookup, 'dataPlane', { name, adapter, labels }, ctx.clock.now(), errors)
  if (!draft || errors.length > 0) return undefined
  const changes = [changeOf(draft, (id) => id)]
  const { audit, resources } = await writeRevision(tx, ctx, actor, [draft], { action, reason, changes })
  return { resource: resources[0]!, audit }
}
