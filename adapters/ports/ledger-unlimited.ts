import type { Ledger } from '../../data-plane/ports.ts'

/** The ledger of a plane whose tenants have no budgets: every attempt may be made, and nothing is posted anywhere. */
export const unlimitedLedger: Ledger = {
  reserve: ({ ceiling }) => ({ ceiling, atCeiling: () => [] }),
  fund: async ({ ceiling }) => ({ ceiling, atCeiling: () => [] }),
  post: () => [],
  void: () => {},
}
