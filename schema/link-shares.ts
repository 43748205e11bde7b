import { z } from 'zod'

/**
 * How instances that count rate limits in their own memory share them: each has the `at`-th of `of` parts of every limit of a tenant.
 * A deal that is not settled gives an instance the least of what it had and what it will have; only when every instance that had
 * something says that this is in force is the deal settled, and what grows is given. So all parts together are never more than
 * the whole. Every message may be repeated; the newest of a link counts.
 */

const id = z.string().max(64)
const count = z.int().min(0)

/** An instance that was not heard of for so long has no part any more: its own is dealt to the others. */
export const silentPartMs = 60_000

/** What the control plane deals. */
export const shares = z.object({
  type: z.literal('shares'),
  tenant: id,
  deal: count,
  /** Null = none. */
  at: count.nullable(),
  of: z.int().min(1),
  settled: z.boolean(),
  /** False: what it had was dealt to others meanwhile, so that it has nothing until the deal is settled. */
  holds: z.boolean(),
  /** Nobody had anything before, so that buckets are full. */
  fresh: z.boolean(),
})
export type Shares = z.output<typeof shares>

/** A deal is in force at this instance; `leaving` = it gives back all that it has, and stops. */
export const sharesTaken = z.object({
  type: z.literal('sharesTaken'),
  tenant: id,
  deal: count,
  leaving: z.boolean(),
})
export type SharesTaken = z.output<typeof sharesTaken>
