/**
 * First keys of the advisory locks that are a tenant's (the second is a hash of its id). Each has its own: who reads balances
 * would else keep alerts from being judged, and wait for whoever judges them.
 */
export const lockSpaces = { numbering: 5_834_521, balances: 5_834_522, alerts: 5_834_523 } as const
