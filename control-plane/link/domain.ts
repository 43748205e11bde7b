import { and, eq } from 'drizzle-orm'
import { snapshot } from '../db/tables.ts'
import type { Context } from '../domain/context.ts'
import { acceptRecords, chainHeads } from '../domain/ingest.ts'
import { noteRefused } from '../domain/plane-refusals.ts'
import { findInstance, gone, openEpoch, redeemToken, seen } from '../domain/planes.ts'
import { deltasSince, part, snapshotOf } from '../domain/snapshots.ts'

/** What the link asks of the domain, with the context already given. */
export interface LinkDomain {
  redeemToken: Bound<typeof redeemToken>
  findInstance: Bound<typeof findInstance>
  openEpoch: Bound<typeof openEpoch>
  seen: Bound<typeof seen>
  gone: Bound<typeof gone>
  noteRefused: Bound<typeof noteRefused>
  chainHeads: Bound<typeof chainHeads>
  acceptRecords: Bound<typeof acceptRecords>
  snapshotOf: Bound<typeof snapshotOf>
  part: Bound<typeof part>
  deltasSince: Bound<typeof deltasSince>
  /** The bytes of a kept snapshot's manifest by its digest; undefined where this tenant has none such. */
  manifest(tenant: string, digest: string): Promise<Buffer | undefined>
  /** Wakes when a tenant's configuration or keys changed; '' = perhaps any tenant's. */
  onConfigChange(wake: (tenant: string) => void): Promise<() => Promise<void>>
  /** Wakes when an instance of a tenant joined or was retired; '' = perhaps any tenant's. */
  onPlanesChange(wake: (tenant: string) => void): Promise<() => Promise<void>>
  now(): number
}

type Bound<F> = F extends (ctx: Context, ...rest: infer Rest) => infer Result ? (...rest: Rest) => Result : never

export function linkDomain(ctx: Context): LinkDomain {
  return {
    redeemToken: (redemption) => redeemToken(ctx, redemption),
    findInstance: (id) => findInstance(ctx, id),
    openEpoch: (instance, hello) => openEpoch(ctx, instance, hello),
    seen: (link, heartbeat) => seen(ctx, link, heartbeat),
    gone: (link) => gone(ctx, link),
    noteRefused: (instance, refused) => noteRefused(ctx, instance, refused),
    chainHeads: (instance) => chainHeads(ctx, instance),
    acceptRecords: (instance, batch) => acceptRecords(ctx, instance, batch),
    snapshotOf: (tenant) => snapshotOf(ctx, tenant),
    part: (tenant, digest) => part(ctx, tenant, digest),
    deltasSince: (tenant, number) => deltasSince(ctx, tenant, number),
    manifest: (tenant, digest) => manifest(ctx, tenant, digest),
    onConfigChange: (wake) => ctx.db.listen('config', wake),
    onPlanesChange: (wake) => ctx.db.listen('planes', wake),
    now: () => ctx.clock.now(),
  }
}

async function manifest(ctx: Context, tenant: string, digest: string): Promise<Buffer | undefined> {
  const [row] = await ctx.db.withTenant(tenant, (tx) =>
    tx
      .select({ manifest: snapshot.manifest })
      .from(snapshot)
      .where(and(eq(snapshot.tenant, tenant), eq(snapshot.contentDigest, digest)))
      .limit(1),
  )
  return row?.manifest
}
