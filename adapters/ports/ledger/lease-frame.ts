import type { BudgetWindow } from '../../../schema/budget-window.ts'
import type { RecordPosting } from '../../../schema/flight-record.ts'
import { formatAmount, parseAmount } from '../../../schema/money.ts'

/** What names a lease within a tenant. */
export interface LeaseName {
  budget: string
  subject: string | null
  window: BudgetWindow
  epoch: number
}

/** A lease's durable totals, as the journal's `lease` frames hold them. Amounts are exact decimals. */
export interface LeaseFrame extends LeaseName {
  tenant: string
  granted: string
  mac: string
  returned: string
  notBefore: number
  /** What is posted by records that do not stand behind this frame: in older segments, or only at the control plane. */
  posted?: string
  /** The control plane knows how it ended: it is needed no more. */
  closed?: true
}

/** A lease's totals at 10⁻¹². None of them ever gets smaller. */
export interface LeaseTotals extends LeaseName {
  granted: bigint
  mac: string
  returned: bigint
  posted: bigint
  notBefore: number
}

/** One text for each lease of a tenant. */
export function leaseKey({ budget, subject, window, epoch }: LeaseName): string {
  return JSON.stringify([budget, subject, window.from, window.to, epoch])
}

/**
 * What a journal proves of an instance's leases, frame by frame in the order in which they were appended: `take` for a `lease`
 * frame, `post` for each record. The same frames lead to the same totals, also where some are read twice.
 */
export class LeaseLog {
  readonly #tenants = new Map<string, Map<string, LeaseTotals>>()

  take(frame: LeaseFrame): void {
    if (frame.closed) {
      this.#tenants.get(frame.tenant)?.delete(leaseKey(frame))
      return
    }
    const lease = this.#lease(frame.tenant, frame)
    const granted = parseAmount(frame.granted)!
    if (granted >= lease.granted) Object.assign(lease, { granted, mac: frame.mac, notBefore: frame.notBefore })
    lease.returned = larger(lease.returned, parseAmount(frame.returned)!)
    if (frame.posted !== undefined) lease.posted = larger(lease.posted, parseAmount(frame.posted)!)
  }

  /** A record's postings, once for each record. What was spent from no lease is nobody's total here. */
  post(tenant: string, postings: readonly RecordPosting[] = []): void {
    for (const { budget, subject, window, leaseEpoch, amount } of postings) {
      if (leaseEpoch === 0) continue
      this.#lease(tenant, { budget, subject, window, epoch: leaseEpoch }).posted += parseAmount(amount)!
    }
  }

  /** Tenants that have leases. */
  get tenants(): string[] {
    return [...this.#tenants.keys()]
  }

  of(tenant: string): LeaseTotals[] {
    return [...(this.#tenants.get(tenant)?.values() ?? [])].map((lease) => ({ ...lease }))
  }

  /** What a new segment begins with, so that what led to it can be removed. */
  frames(): LeaseFrame[] {
    return [...this.#tenants].flatMap(([tenant, leases]) =>
      [...leases.values()].map((lease) => ({ ...frameOf(tenant, lease), posted: formatAmount(lease.posted) })),
    )
  }

  #lease(tenant: string, name: LeaseName): LeaseTotals {
    const leases = this.#tenants.get(tenant) ?? new Map<string, LeaseTotals>()
    this.#tenants.set(tenant, leases)
    const key = leaseKey(name)
    const lease = leases.get(key) ?? newTotals(name)
    leases.set(key, lease)
    return lease
  }
}

export function newTotals({ budget, subject, window: { from, to }, epoch }: LeaseName): LeaseTotals {
  return {
    budget,
    subject,
    window: { from, to },
    epoch,
    granted: 0n,
    mac: '',
    returned: 0n,
    posted: 0n,
    notBefore: from,
  }
}

export function frameOf(tenant: string, lease: Omit<LeaseTotals, 'posted'>): LeaseFrame {
  const { budget, subject, window, epoch, granted, mac, returned, notBefore } = lease
  return {
    ...{ tenant, budget, subject, window, epoch, mac, notBefore },
    granted: formatAmount(granted),
    returned: formatAmount(returned),
  }
}

/** Of two amounts; `Math` does not take them. */
export function larger(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}

export function smaller(a: bigint, b: bigint): bigint {
  return a < b ? a : b
}
