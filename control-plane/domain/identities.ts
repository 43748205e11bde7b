import { and, eq, inArray } from 'drizzle-orm'
import { hashKey } from '../../schema/key-table.ts'
import type { Tx } from '../db/database.ts'
import { identity as identityTable } from '../db/tables.ts'
import { invalidInput, type UserError } from './errors.ts'
import type { Draft } from './plan.ts'
import { chunks } from './resources.ts'

const rowsPerStatement = 1_000

/** Who was proven: by whose word, and what that calls them. A subject means nothing without its issuer. */
export interface Identity {
  issuer: string
  subject: string
}

/** Issuers that begin so are Sluice itself: no principal may declare one. */
const ownIssuers = 'sluice:'

/** Of admin tokens; the subject is the SHA-256 of the token in hex. */
export const tokenIssuer = `${ownIssuers}admin-token`

export const identityOfToken = (token: string): Identity => ({
  issuer: tokenIssuer,
  subject: hashKey(token).toString('hex'),
})

const digestOf = ({ issuer, subject }: Identity) => hashKey(JSON.stringify([issuer, subject]))

/** The principal that signs in by this identity, and its tenant. Read over all tenants. */
export async function findIdentity(
  tx: Tx,
  identity: Identity,
): Promise<{ tenant: string; principal: string } | undefined> {
  const { tenant, principal } = identityTable
  const [row] = await tx
    .select({ tenant, principal })
    .from(identityTable)
    .where(eq(identityTable.digest, digestOf(identity)))
  return row
}

interface Claim extends Identity {
  principal: string
  path: string[]
}

/**
 * Gives principals the identities that they are written with, and takes back those of principals that leave. One that another
 * principal has, in whichever tenant, is refused in the same words.
 */
export async function claimIdentities(tx: Tx, tenant: string, drafts: Draft[], errors: UserError[]): Promise<void> {
  const touched = drafts.filter(({ before, after }) => identitiesOf(before) !== identitiesOf(after))
  if (touched.length === 0) return
  const principals = touched.map(({ after }) => after.id)
  await tx
    .delete(identityTable)
    .where(and(eq(identityTable.tenant, tenant), inArray(identityTable.principal, principals)))
  const claims = touched.flatMap(claimsOf)
  for (const { issuer, path } of claims)
    if (issuer.startsWith(ownIssuers))
      errors.push(invalidInput([...path, 'issuer'], `must not begin with ${ownIssuers}`))
  const rows = claims.map((claim) => ({ ...claim, digest: digestOf(claim) }))
  // In one order everywhere, so that two tenants that claim the same ones wait for each other and do not deadlock.
  rows.sort((a, b) => Buffer.compare(a.digest, b.digest))
  for (const some of chunks(rows, rowsPerStatement)) {
    const values = some.map(({ path: _, ...row }) => ({ ...row, tenant }))
    const made = await tx.insert(identityTable).values(values).onConflictDoNothing().returning()
    const given = new Set(made.map(({ digest, principal }) => `${digest.toString('hex')} ${principal}`))
    for (const { digest, principal, path } of some)
      if (!given.has(`${digest.toString('hex')} ${principal}`))
        errors.push(invalidInput(path, 'is how a principal signs in already'))
  }
}

function claimsOf({ after, path }: Draft): Claim[] {
  if (after.kind !== 'principal' || after.archivedAt) return []
  return after.spec.identities.map(({ issuer, subject }, index) => ({
    ...{ issuer, subject, principal: after.id },
    path: [...path, 'identities', String(index)],
  }))
}

/** As text, for comparing; '' for what has none. */
function identitiesOf(resource: Draft['before']): string {
  if (resource?.kind !== 'principal' || resource.archivedAt || resource.spec.identities.length === 0) return ''
  return JSON.stringify(resource.spec.identities)
}
