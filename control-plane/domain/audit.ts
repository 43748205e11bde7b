import type { Tx } from '../db/database.ts'
import type { Actor, ActorKind } from './actor.ts'
import type { Context } from './context.ts'

export interface FieldChange {
  path: string[]
  before: string | null
  after: string | null
}

export interface AuditTarget {
  /** Id of the resource. */
  id: string
  name: string
  changes: FieldChange[]
}

export interface AuditActor {
  kind: ActorKind
  id: string
  name: string
  onBehalfOf: AuditActor | null
}

export interface AuditRow {
  id: string
  tenant: string
  sequence: number
  at: Date
  revision: number | null
  actor: AuditActor
  action: string
  targets: AuditTarget[]
  reason: string | null
  correlation: string
  source: string | null
  allowed: boolean
  previousHash: string
  hash: string
  /** Number in the tenant's log; null until it is there. */
  logIndex: number | null
}

export interface AuditAct {
  action: string
  targets: AuditTarget[]
  reason?: string | null
  revision?: number | null
  allowed?: boolean
  correlation?: string
}

/** Appends an entry to the tenant's chain, in the transaction of the change it tells of. Locks the tenant row. */
export async function record(tx: Tx, ctx: Context, actor: Actor, act: AuditAct): Promise<AuditRow> {
  void tx, ctx, actor, act
  throw new Error('not built yet')
}

export interface AuditFilter {
  actor?: string[] | null
  action?: string[] | null
  /** Ids of resources. */
  target?: string[] | null
  at?: { from?: Date | null; to?: Date | null } | null
  correlation?: string | null
}

/** Newest first; `after` is the `sequence` of the last row of the page before. */
export async function listAudit(
  tx: Tx,
  tenant: string,
  query: { filter?: AuditFilter | null; first: number; after?: number | null },
): Promise<{ rows: AuditRow[]; hasNext: boolean }> {
  void tx, tenant, query
  throw new Error('not built yet')
}

export async function findAudit(tx: Tx, tenant: string, id: string): Promise<AuditRow | undefined> {
  void tx, tenant, id
  throw new Error('not built yet')
}
