import type { Context } from './context.ts'
import type { Written } from './errors.ts'

/** A signed document (DSSE), as `air-gap/` makes it. */
export interface SignedDocument {
  payloadType: string
  payload: string
  signatures: { keyid: string; sig: string }[]
}

/** Keys as PEM: PKCS #8 private, SPKI public. */
export interface KeyPair {
  privateKey: string
  publicKey: string
}

/** Makes the trust root of a new installation: signed by `root`, naming `online` for the role of connected planes. */
export type MakeTrustRoot = (input: {
  installation: string
  root: KeyPair
  online: KeyPair
  nowMs: number
}) => SignedDocument | Promise<SignedDocument>

export interface Installation {
  id: string
  trustRoot: SignedDocument
  /** Signs envelopes and welcomes. Never logged. */
  onlineKey: KeyPair
}

/**
 * First start: makes the installation with its keys and trust root. Later starts: opens them. A wrong master key is refused
 * with one sentence.
 */
export async function initialise(
  ctx: Pick<Context, 'db' | 'clock' | 'vault'>,
  options: { makeTrustRoot: MakeTrustRoot },
): Promise<Installation | { refused: string }> {
  void ctx, options
  throw new Error('not built yet')
}

export interface TenantCreateInput {
  idempotencyKey: string
  name: string
  currency?: string | null
  /** Of the first principal, who becomes OWNER. */
  ownerName?: string | null
  owner?: { issuer: string; subject: string } | null
  reason?: string | null
}

export interface TenantCreated extends Written {
  tenant: string | null
  /** The first `sla_` token; shown once. */
  adminToken: string | null
  replayed: boolean
}

export async function createTenant(ctx: Context, input: TenantCreateInput): Promise<TenantCreated> {
  void ctx, input
  throw new Error('not built yet')
}

/** Tenants of this installation, oldest first. */
export async function listTenants(ctx: Context): Promise<{ id: string; name: string }[]> {
  void ctx
  throw new Error('not built yet')
}
