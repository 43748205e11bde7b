import type { BudgetWindow } from '../../../schema/budget-window.ts'
import type { HeldLease, KnownLease } from '../../../schema/link-lease.ts'
import { formatAmount, parseAmount } from '../../../schema/money.ts'
import { frameOf, type LeaseFrame, type LeaseName, type LeaseTotals, larger } from './lease-frame.ts'
import type { Moment } from './moment.ts'

/**
 * One lease at its plane. `free = granted − returned − posted − reserved`, counting of `granted` what is durable; a cost above its
 * reservation can make it negative. `granted`, `returned` and `posted` never get smaller.
 */
export class Lease implements LeaseName, LeaseTotals {
  readonly budget: string
  readonly subject: string | null
  readonly window: BudgetWindow
  readonly epoch: number
  /** The largest total that the control plane named, and its proof. */
  granted: bigint
  mac: string
  notBefore: number
  /** Given back: counted from the moment on in which it is decided, told once it is durable. */
  returned: bigint
  /** What appended records say. */
  posted: bigint
  reserved = 0n
  free: bigint
  /** A newer link has ended its grants: nothing more is reserved. */
  isFenced = false
  /** What is durable of `granted` and `returned`. */
  durableGranted: bigint
  durableReturned: bigint
  /** What the newest frame says. */
  #framedGranted: bigint
  #framedReturned: bigint
  /** What is posted of it the control plane said, and no frame of this journal does yet. */
  isAdopted = false
  /** The control plane's totals, as it last told them. */
  known: { granted: bigint; returned: bigint; posted: bigint } | null = null
  /** The largest `returned` that was told on this link; −1 = the lease was not spoken of. */
  told = -1n

  constructor(totals: LeaseTotals) {
    const { budget, subject, window, epoch, granted, mac, notBefore, returned, posted } = totals
    this.budget = budget
    this.subject = subject
    this.window = window
    this.epoch = epoch
    this.granted = granted
    this.mac = mac
    this.notBefore = notBefore
    this.returned = returned
    this.posted = posted
    this.durableGranted = granted
    this.#framedGranted = granted
    this.#framedReturned = returned
    this.durableReturned = returned
    this.free = granted - returned - posted
  }

  /** Whether a request may be reserved in its window now. */
  isOpen({ controlMs, marginMs }: Moment): boolean {
    return !this.isFenced && controlMs - marginMs >= this.notBefore && controlMs + marginMs < this.window.to
  }

  /** Its window has ended, or is about to, and does not come again. */
  isOver({ controlMs, marginMs }: Moment): boolean {
    return controlMs + marginMs >= this.window.to
  }

  /** A grant that may not be spent yet, since it is not durable. */
  get isSaving(): boolean {
    return this.granted > this.durableGranted
  }

  get isUnsaved(): boolean {
    return this.isSaving || this.isReturning
  }

  /** Totals that no frame says yet. */
  /** Given back, and not durable yet: nobody was told. */
  get isReturning(): boolean {
    return this.returned > this.durableReturned
  }

  get isUnframed(): boolean {
    return this.granted > this.#framedGranted || this.returned > this.#framedReturned
  }

  /** Durable, and the control plane was not told on this link. */
  get isUntold(): boolean {
    return this.durableReturned > this.told
  }

  reserve(ceiling: bigint): void {
    this.reserved += ceiling
    this.free -= ceiling
  }

  /** Ends a reservation: `held` were reserved, `cost` of them were spent. */
  settle(held: bigint, cost: bigint): void {
    this.reserved -= held
    this.posted += cost
    this.free += held - cost
  }

  /** Gives money back that is free. */
  giveBack(amount: bigint): void {
    this.returned += amount
    this.free -= amount
  }

  /** Takes what the control plane says: the larger total of each. True where that is something new to make durable. */
  learn({ granted, mac, returned, posted, notBefore }: KnownLease): boolean {
    const known = { granted: parseAmount(granted)!, returned: parseAmount(returned)!, posted: parseAmount(posted)! }
    this.known = {
      granted: larger(known.granted, this.known?.granted ?? 0n),
      returned: larger(known.returned, this.known?.returned ?? 0n),
      posted: larger(known.posted, this.known?.posted ?? 0n),
    }
    this.told = larger(this.told, known.returned)
    if (known.granted > this.granted) Object.assign(this, { granted: known.granted, mac, notBefore })
    // Only an older copy of this journal forgets what it gave back; that money is gone all the same.
    if (known.returned > this.returned) this.giveBack(known.returned - this.returned)
    if (known.posted > this.posted) this.#adopt(known.posted)
    return this.isUnframed
  }

  frame(tenant: string): LeaseFrame {
    this.#framedGranted = this.granted
    this.#framedReturned = this.returned
    const frame = frameOf(tenant, this)
    if (!this.isAdopted) return frame
    this.isAdopted = false
    return { ...frame, posted: formatAmount(this.posted) }
  }

  /** Spent by records that this journal does not show: of a lease that was forgotten, or by a copy of this instance. */
  #adopt(posted: bigint): void {
    this.free -= posted - this.posted
    this.posted = posted
    this.isAdopted = true
  }

  /** These totals are durable now. */
  saved(granted: bigint, returned: bigint): void {
    const usable = larger(granted, this.durableGranted)
    this.free += usable - this.durableGranted
    this.durableGranted = usable
    this.durableReturned = larger(returned, this.durableReturned)
  }

  /** All of it is spent or given back, and the control plane knows. */
  get isSettled(): boolean {
    const { known, granted, returned, posted } = this
    if (this.reserved !== 0n || this.isUnsaved || granted !== returned + posted) return false
    return granted === 0n || (known?.granted === granted && known.returned === returned && known.posted === posted)
  }

  /** What a call says of it. */
  tell(): HeldLease {
    const { budget, subject, window, epoch, mac } = this
    this.told = this.durableReturned
    const amounts = { granted: formatAmount(this.granted), returned: formatAmount(this.durableReturned) }
    return { budget, subject, window, epoch, mac, ...amounts }
  }
}
