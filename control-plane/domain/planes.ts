import type { Resource } from '../../schema/config/index.ts'
import type { Tx } from '../db/database.ts'
import type { Actor } from './actor.ts'
import type { Context } from './context.ts'
import type { Written } from './errors.ts'

export type DataPlaneState = 'ENROLLING' | 'CURRENT' | 'BEHIND' | 'UNREACHABLE' | 'OFFLINE' | 'RETIRED'

export interface DataPlaneEnrollInput {
  idempotencyKey: string
  name: string
  adapter: 'STANDALONE' | 'ENVOY_EXT_PROC' | 'AIR_GAPPED'
  /** Of a site's enrolment file; online planes send theirs with the token. */
  signingKey?: string | null
  encryptionKey?: string | null
  labels?: Record<string, string> | null
  reason?: string | null
}

export interface Enrolled extends Written {
  dataPlane: Resource<'dataPlane'> | null
  /** `sle_…`, shown once; null on a replay. For a name that exists: a new token for the same fleet. */
  enrollmentToken: string | null
  replayed: boolean
}

export async function dataPlaneEnroll(ctx: Context, actor: Actor, input: DataPlaneEnrollInput): Promise<Enrolled> {
  void ctx, actor, input
  throw new Error('not built yet')
}

export interface Redemption {
  token: string
  /** Ed25519 public key, PEM (SPKI). */
  signingKey: string
  /** age recipient (`age1…`). */
  encryptionKey: string
  host: string
  version: string
}

export interface Redeemed {
  instance: string
  dataPlane: string
  tenant: string
}

/** Exchanges an enrolment token for an identity; the refusal is a sentence. The same keys again give the same instance. */
export async function redeemToken(ctx: Context, redemption: Redemption): Promise<Redeemed | { refused: string }> {
  void ctx, redemption
  throw new Error('not built yet')
}

/** One process of a data plane. */
export interface Instance {
  id: string
  tenant: string
  dataPlane: string
  state: DataPlaneState
  host: string | null
  version: string | null
  epoch: number
  startedAt: Date
  lastSeenAt: Date | null
  activeRevision: number | null
  /** Number of the newest key delta it confirmed. */
  revocationNumber: number | null
  snapshotAgeMs: number | null
  clockOffsetMs: number | null
  recordsThrough: Date | null
  signingKey: string
  encryptionKey: string
}

/** Across tenants: who a link says it is. */
export async function findInstance(ctx: Context, id: string): Promise<Instance | undefined> {
  void ctx, id
  throw new Error('not built yet')
}

/** A link opened: the next epoch of this instance, larger than every one before. The old epoch's records are still taken. */
export async function openEpoch(
  ctx: Context,
  instance: string,
  hello: { bootId: string; host: string; version: string },
): Promise<number> {
  void ctx, instance, hello
  throw new Error('not built yet')
}

export interface Heartbeat {
  sentAtMs: number
  applied: { tenant: string; revision: number; deltaNumber: number; snapshotAgeMs: number }[]
  recordsThroughMs: number | null
}

/** Notes a heartbeat; a change of state becomes an event. */
export async function seen(ctx: Context, instance: string, heartbeat: Heartbeat): Promise<void> {
  void ctx, instance, heartbeat
  throw new Error('not built yet')
}

/** Its link closed. */
export async function gone(ctx: Context, instance: string): Promise<void> {
  void ctx, instance
  throw new Error('not built yet')
}

export async function listInstances(
  tx: Tx,
  tenant: string,
  query: { dataPlane?: string | null; state?: DataPlaneState[] | null; first: number; after?: string | null },
  nowMs: number,
): Promise<{ rows: Instance[]; hasNext: boolean }> {
  void tx, tenant, query, nowMs
  throw new Error('not built yet')
}

export async function instancesByIds(
  tx: Tx,
  tenant: string,
  ids: readonly string[],
  nowMs: number,
): Promise<(Instance | undefined)[]> {
  void tx, tenant, ids, nowMs
  throw new Error('not built yet')
}

export interface DataPlaneFacts {
  state: DataPlaneState
  desiredRevision: number
  /** The oldest revision that any of its connected instances runs. */
  activeRevision: number | null
}

/** In the order of `ids`. */
export async function dataPlaneFacts(
  tx: Tx,
  tenant: string,
  ids: readonly string[],
  nowMs: number,
): Promise<DataPlaneFacts[]> {
  void tx, tenant, ids, nowMs
  throw new Error('not built yet')
}
