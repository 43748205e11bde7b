import type { Resource } from '../../schema/config/index.ts'
import type { Tx } from '../db/database.ts'
import type { Actor } from './actor.ts'
import type { Context } from './context.ts'
import type { Written } from './errors.ts'

export interface CredentialWritten extends Written {
  credential: Resource<'credential'> | null
  replayed: boolean
}

/** Stores a provider's secret, sealed. It is never returned; `fingerprint` and `version` tell that it changed. */
export async function credentialSet(
  ctx: Context,
  actor: Actor,
  input: { idempotencyKey: string; credential: string; secret: string; reason?: string | null },
): Promise<CredentialWritten> {
  void ctx, actor, input
  throw new Error('not built yet')
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
  void tx, tenant, ids
  throw new Error('not built yet')
}
