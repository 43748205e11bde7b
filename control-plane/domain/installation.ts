import { generateKeyPairSync } from 'node:crypto'
import { sql } from 'drizzle-orm'
import { mintId } from '../../schema/ids.ts'
import type { Tx } from '../db/database.ts'
import { installation } from '../db/tables.ts'
import type { Context } from './context.ts'

export { createTenant, listTenants } from './tenants.ts'

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

const installationLock = 5_834_520_002
const masterCheck = 'sluice master key'
const rootUse = 'installation/root-key'
const onlineUse = 'installation/online-key'

/**
 * First start: makes the installation with its keys and trust root. Later starts: opens them. A wrong master key is refused
 * with one sentence.
 */
export async function initialise(
  ctx: Pick<Context, 'db' | 'clock' | 'vault'>,
  options: { makeTrustRoot: MakeTrustRoot },
): Promise<Installation | { refused: string }> {
  return ctx.db.withInstallation(async (tx) => {
    await tx.execute(sql`select pg_advisory_xact_lock(${installationLock})`)
    const [row] = await tx.select().from(installation)
    return row ? open(ctx, row) : make(tx, ctx, options.makeTrustRoot)
  })
}

function open(
  { vault }: Pick<Context, 'vault'>,
  row: typeof installation.$inferSelect,
): Installation | { refused: string } {
  const online = vault.open(masterCheck, row.masterCheck) && vault.open(onlineUse, row.sealedOnlineKey)
  if (online)
    return { id: row.id, trustRoot: row.trustRoot as SignedDocument, onlineKey: JSON.parse(online.toString()) }
  return {
    refused:
      'The master key is not the one this installation was made with; start with the former SLUICE_MASTER_KEY or master.key.',
  }
}

async function make(
  tx: Tx,
  ctx: Pick<Context, 'clock' | 'vault'>,
  makeTrustRoot: MakeTrustRoot,
): Promise<Installation> {
  const nowMs = ctx.clock.now()
  const id = mintId('installation', nowMs)
  const [root, online] = [newKeyPair(), newKeyPair()]
  const trustRoot = await makeTrustRoot({ installation: id, root, online, nowMs })
  await tx.insert(installation).values({
    id,
    createdAt: new Date(nowMs),
    masterCheck: ctx.vault.seal(masterCheck, Buffer.from(masterCheck)),
    trustRoot,
    sealedRootKey: ctx.vault.seal(rootUse, Buffer.from(JSON.stringify(root))),
    sealedOnlineKey: ctx.vault.seal(onlineUse, Buffer.from(JSON.stringify(online))),
  })
  return { id, trustRoot, onlineKey: online }
}

function newKeyPair(): KeyPair {
  return generateKeyPairSync('ed25519', {
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    publicKeyEncoding: { type: 'spki', format: 'pem' },
  })
}
