import type { Resource } from '../../schema/config/index.ts'
import type { Kind } from '../../schema/handles.ts'
import type { Tx } from '../db/database.ts'

/** The live resource that an id or a handle names. An archived one is found by its id alone. */
export async function findResource(tx: Tx, tenant: string, ref: string): Promise<Resource | undefined> {
  void tx, tenant, ref
  throw new Error('not built yet')
}

/** In the order of `ids`; archived ones too, since records name them for ever. */
export async function resourcesByIds(
  tx: Tx,
  tenant: string,
  ids: readonly string[],
): Promise<(Resource | undefined)[]> {
  void tx, tenant, ids
  throw new Error('not built yet')
}

export interface ResourceQuery {
  kinds?: readonly Kind[] | null
  /** All must be there. */
  labels?: Record<string, string> | null
  /** Part of the name, in either case. */
  search?: string | null
  /** false or absent = live ones only; true = archived ones too. */
  archived?: boolean | null
  /** Fields of the spec, each with the values it may have (ids for references). */
  where?: Record<string, readonly string[] | null | undefined> | null
  updatedAt?: { from?: Date | null; to?: Date | null } | null
  first: number
  /** Id of the last row of the page before. */
  after?: string | null
}

/** A page, in the order of ids (which is the order of creation). */
export async function listResources(
  tx: Tx,
  tenant: string,
  query: ResourceQuery,
): Promise<{ rows: Resource[]; hasNext: boolean }> {
  void tx, tenant, query
  throw new Error('not built yet')
}

export interface Membership {
  principal: string
  /** Tenant, team or project. */
  scope: Resource
  role: string
  since: Date
}

/** Every role that a principal holds, on any scope. */
export async function membershipsOf(tx: Tx, tenant: string, principal: string): Promise<Membership[]> {
  void tx, tenant, principal
  throw new Error('not built yet')
}
