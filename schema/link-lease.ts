import { z } from 'zod'

/**
 * How an instance asks for money and gives it back (`design/ledger.md`). Every total only grows, and each side takes the larger
 * value of what the other alone may raise: so each of these messages may be lost, repeated, late or out of order.
 */

const id = z.string().max(64)
const count = z.int().min(0)
/** Exact decimal, at most 12 digits after the point; never negative. */
const amount = z
  .string()
  .max(40)
  .regex(/^\d{1,26}(\.\d{1,12})?$/)
const subject = z.string().max(300).nullable()
const window = z.object({ from: z.int(), to: z.int() })

/** Leases in one message. A plane that holds more sends several. */
export const leasesPerMessageMax = 1_000
/** Budgets that one attempt may need money under. */
export const wantsPerCallMax = 64
/** Planes that are asked for money they have not reserved answer at once; who waits for them waits this long. */
export const recallMsMax = 250
export const fundsWaitMsMax = 30_000

/** What names a lease, beside the instance whose link it is. */
const leaseName = { budget: id, subject, window, epoch: count }

/** A lease as its plane sees it. */
const heldLease = z.object({
  ...leaseName,
  /** The largest total that the control plane ever named, and its proof. */
  granted: amount,
  mac: z.string().max(100),
  /** Durable before it is sent, and never spent again. */
  returned: amount,
})
export type HeldLease = z.output<typeof heldLease>

/** A lease as the control plane has it. */
const knownLease = z.object({
  ...leaseName,
  granted: amount,
  /** HMAC of the control plane over tenant, instance, the lease's name and `granted`: proves the total after a restore. */
  mac: z.string().max(100),
  returned: amount,
  /** From records that have arrived. */
  posted: amount,
  /** Money of a window that has not begun is not spent before it does, by the control plane's clock. */
  notBefore: z.int(),
})
export type KnownLease = z.output<typeof knownLease>

const want = z.object({
  budget: id,
  subject,
  /** What must be granted, or nothing is: what the waiting request lacks here. 0 = a lease that is only to be kept filled. */
  missing: amount,
  /** What this instance spent a second under this counter lately. */
  perSecond: amount,
  /** Of the window after the present one. */
  next: z.boolean(),
})
export type LeaseWant = z.output<typeof want>

/**
 * A plane reports leases and asks for money, all in one transaction: returns first, then everything that is wanted with a
 * `missing` above 0, or nothing of it. On a new link the first calls report all that is held (`whole` on the last of them).
 */
export const leaseCall = z.object({
  type: z.literal('leaseCall'),
  /** Grows with each call of this link; the answer names it. */
  call: count,
  tenant: id,
  leases: z.array(heldLease).max(leasesPerMessageMax),
  whole: z.boolean(),
  wants: z.array(want).max(wantsPerCallMax),
  /** How long a call that is short may wait for money to come free. */
  waitMs: z.int().min(0).max(fundsWaitMsMax),
})
export type LeaseCall = z.output<typeof leaseCall>

/** What is still missing after everybody was asked. */
const shortage = z.object({
  budget: id,
  subject,
  window,
  missing: amount,
  /** What could be granted of it now. */
  available: amount,
})
export type LeaseShortage = z.output<typeof shortage>

/**
 * RECOVERING: after a restore the control plane does not know yet what others hold. NO_BUDGET: it was archived, or the plane's
 * configuration is older than its end. FENCED: the link is not the instance's newest.
 */
export const leaseRefusals = ['SHORT', 'RECOVERING', 'NO_BUDGET', 'FENCED'] as const
export type LeaseRefusal = (typeof leaseRefusals)[number]

/** Answers a call: the leases it spoke of or granted, and why nothing was granted where something was wanted. */
export const leaseAnswer = z.object({
  type: z.literal('leaseAnswer'),
  call: count,
  tenant: id,
  leases: z.array(knownLease).max(leasesPerMessageMax + wantsPerCallMax),
  refused: z.enum(leaseRefusals).nullable(),
  short: z.array(shortage).max(wantsPerCallMax),
})
export type LeaseAnswer = z.output<typeof leaseAnswer>

/**
 * Others wait for money under these counters: the plane returns what it has not reserved, at most `amount`, with a call of its
 * own, at once; and for `forMs` from now also what comes free. A limit that was lowered below what is out asks the same.
 */
export const leaseRecall = z.object({
  type: z.literal('leaseRecall'),
  tenant: id,
  asks: z
    .array(z.object({ budget: id, subject, amount, forMs: z.int().min(0).max(fundsWaitMsMax) }))
    .max(leasesPerMessageMax),
})
export type LeaseRecall = z.output<typeof leaseRecall>

/** What the control plane proves of a grant: the text that its MAC is over. */
export function grantStatement(
  grant: { tenant: string; instance: string } & Pick<KnownLease, 'budget' | 'subject' | 'window' | 'epoch' | 'granted'>,
): string {
  const { tenant, instance, budget, subject, window, epoch, granted } = grant
  return `sluice grant v1\n${JSON.stringify([tenant, instance, budget, subject, window.from, window.to, epoch, granted])}\n`
}
