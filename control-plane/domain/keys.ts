import type { Resource } from '../../schema/config/index.ts'
import type { Tx } from '../db/database.ts'
import type { Actor } from './actor.ts'
import type { Context } from './context.ts'
import type { Written } from './errors.ts'

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

export async function apiKeyIssue(ctx: Context, actor: Actor, input: ApiKeyIssueInput): Promise<KeySecretWritten> {
  void ctx, actor, input
  throw new Error('not built yet')
}

/** A second secret for the same key; the old one goes on working for `overlap` (a duration). */
export async function apiKeyRotate(
  ctx: Context,
  actor: Actor,
  input: { idempotencyKey: string; apiKey: string; overlap: string; reason?: string | null },
): Promise<KeySecretWritten> {
  void ctx, actor, input
  throw new Error('not built yet')
}

/** Ends a key for good: every secret of it, at once. Doing so again changes nothing. */
export async function apiKeyRevoke(
  ctx: Context,
  actor: Actor,
  input: { apiKey: string; reason: string },
): Promise<KeyWritten> {
  void ctx, actor, input
  throw new Error('not built yet')
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
  void tx, tenant, ids, nowMs
  throw new Error('not built yet')
}
