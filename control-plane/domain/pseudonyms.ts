import type { Context } from './context.ts'

/**
 * The key that a tenant's pseudonyms are made with, 32 bytes in hex: derived from the master key, so that it needs no place of its
 * own, stays the same for ever, and is nobody else's. Planes get it sealed, in the snapshot's secrets part.
 */
export function pseudonymKey(ctx: Pick<Context, 'vault'>, tenant: string): string {
  return ctx.vault.digest(`pseudonyms/${tenant}`, tenant)
}
