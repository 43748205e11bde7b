import type { Context } from '../domain/context.ts'
import { acceptRecords, chainHeads } from '../domain/ingest.ts'
import { type LeaseDesk, openDesk } from '../domain/ledger/desk.ts'
import { takeRecalls } from '../domain/ledger/recalls.ts'
import { mustReport, noteHeld } from '../domain/ledger/standing.ts'
import { dealShares, sharesTaken } from '../domain/limit-shares.ts'
import { noteRefused } from '../domain/plane-refusals.ts'
import { findInstance, gone, openEpoch, redeemToken, seen } from '../domain/planes.ts'
import { noteFinding, takeChecks } from '../domain/provider-check-rows.ts'
import { deltasSince, manifest, part, snapshotOf } from '../domain/snapshots.ts'
import { cachedParts } from './part-cache.ts'

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
  manifest: Bound<typeof manifest>
  takeChecks: Bound<typeof takeChecks>
  noteFinding: Bound<typeof noteFinding>
  /** Answers one lease call of one link; it may wait for as long as the call says. */
  leaseCall: LeaseDesk['call']
  takeRecalls: Bound<typeof takeRecalls>
  mustReport: Bound<typeof mustReport>
  noteHeld: Bound<typeof noteHeld>
  /** Wakes when money of a tenant's planes is asked back; '' = perhaps any tenant's. */
  onRecalls(wake: (tenant: string) => void): Promise<() => Promise<void>>
  /** Answers lease calls that still wait. */
  close(): Promise<void>
  dealShares: Bound<typeof dealShares>
  sharesTaken: Bound<typeof sharesTaken>
  /** Wakes when a tenant's configuration or keys changed; '' = perhaps any tenant's. */
  onConfigChange(wake: (tenant: string) => void): Promise<() => Promise<void>>
  /** Wakes when an instance of a tenant joined or was retired; '' = perhaps any tenant's. */
  onPlanesChange(wake: (tenant: string) => void): Promise<() => Promise<void>>
  /** Wakes when a provider of a tenant is to be checked; '' = perhaps any tenant's. */
  onChecks(wake: (tenant: string) => void): Promise<() => Promise<void>>
  /** Wakes when parts of rate limits were dealt; '' = perhaps any tenant's. */
  onShares(wake: (tenant: string) => void): Promise<() => Promise<void>>
  now(): number
}

type Bound<F> = F extends (ctx: Context, ...rest: infer Rest) => infer Result ? (...rest: Rest) => Result : never

export function linkDomain(ctx: Context): LinkDomain {
  const desk = openDesk(ctx)
  return {
    leaseCall: (link, call) => desk.call(link, call),
    takeRecalls: (tenant, instances) => takeRecalls(ctx, tenant, instances),
    mustReport: (link) => mustReport(ctx, link),
    noteHeld: (held) => noteHeld(ctx, held),
    onRecalls: (wake) => ctx.db.listen('recalls', wake),
    close: () => desk.close(),
    redeemToken: (redemption) => redeemToken(ctx, redemption),
    findInstance: (id) => findInstance(ctx, id),
    openEpoch: (instance, hello) => openEpoch(ctx, instance, hello),
    seen: (link, heartbeat) => seen(ctx, link, heartbeat),
    gone: (link) => gone(ctx, link),
    noteRefused: (instance, refused) => noteRefused(ctx, instance, refused),
    chainHeads: (instance) => chainHeads(ctx, instance),
    acceptRecords: (instance, batch) => acceptRecords(ctx, instance, batch),
    snapshotOf: (tenant) => snapshotOf(ctx, tenant),
    part: cachedParts((tenant, digest) => part(ctx, tenant, digest)),
    deltasSince: (tenant, number) => deltasSince(ctx, tenant, number),
    manifest: cachedParts((tenant, digest) => manifest(ctx, tenant, digest)),
    takeChecks: (tenant, able) => takeChecks(ctx, tenant, able),
    noteFinding: (instance, found) => noteFinding(ctx, instance, found),
    dealShares: (tenant) => dealShares(ctx, tenant),
    sharesTaken: (instance, taken) => sharesTaken(ctx, instance, taken),
    onConfigChange: (wake) => ctx.db.listen('config', wake),
    onPlanesChange: (wake) => ctx.db.listen('planes', wake),
    onChecks: (wake) => ctx.db.listen('checks', wake),
    onShares: (wake) => ctx.db.listen('shares', wake),
    now: () => ctx.clock.now(),
  }
}
