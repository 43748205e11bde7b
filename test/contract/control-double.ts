import type { PeriodRule } from '../../schema/budget-window.ts'
import { endOfTime, windowAt } from '../../schema/budget-window.ts'
import type { KnownLease, LeaseAnswer, LeaseCall, LeaseShortage, LeaseWant } from '../../schema/link-lease.ts'
import { formatAmount, parseAmount } from '../../schema/money.ts'

interface Row {
  granted: bigint
  returned: bigint
  posted: bigint
  name: Pick<KnownLease, 'budget' | 'subject' | 'window' | 'epoch'>
}

/**
 * Plays the control plane towards one instance: fixed limits under each counter, grants of what is missing and a little more,
 * calls that wait. What is posted it is told by the test.
 */
export class ControlDouble {
  epoch = 0
  /** Every call that came, in order. */
  readonly calls: LeaseCall[] = []
  /** Set to answer so instead. */
  refuses: LeaseAnswer['refused'] = null
  readonly #rows = new Map<string, Row>()
  readonly #waiting = new Map<LeaseCall, ReturnType<typeof setTimeout>>()
  #answer: (answer: LeaseAnswer) => void = () => {}

  constructor(
    readonly limitOf: (budget: string, subject: string | null) => bigint,
    readonly rule: PeriodRule,
  ) {}

  /** A new link; what it sends is answered through `answer`. */
  open(answer: (answer: LeaseAnswer) => void): { epoch: number; send: (call: LeaseCall) => void } {
    this.#answer = answer
    return { epoch: ++this.epoch, send: (call) => this.#take(call) }
  }

  close(): void {
    for (const timer of this.#waiting.values()) clearTimeout(timer)
    this.#waiting.clear()
  }

  /** `granted − returned` of all leases: what is out or spent. */
  committed(budget: string, subject: string | null = null): bigint {
    const rows = [...this.#rows.values()].filter(({ name }) => name.budget === budget && name.subject === subject)
    return rows.reduce((sum, { granted, returned }) => sum + granted - returned, 0n)
  }

  #take(call: LeaseCall): void {
    this.calls.push(call)
    for (const { budget, subject, window, epoch, returned } of call.leases) {
      const row = this.#row({ budget, subject, window, epoch })
      const total = parseAmount(returned)!
      if (total > row.returned) row.returned = total
    }
    const short = this.#grant(call)
    if (short.length === 0 || call.waitMs === 0) this.#tell(call, short)
    else
      this.#waiting.set(
        call,
        setTimeout(() => this.#giveUp(call), call.waitMs),
      )
    for (const waiting of [...this.#waiting.keys()]) this.#tryAgain(waiting)
  }

  #tryAgain(call: LeaseCall): void {
    if (this.#grant(call).length > 0) return
    clearTimeout(this.#waiting.get(call))
    this.#waiting.delete(call)
    this.#tell(call, [])
  }

  #giveUp(call: LeaseCall): void {
    this.#waiting.delete(call)
    this.#tell(call, this.#grant(call))
  }

  /** All that is missing or nothing; answers what is short. */
  #grant({ wants }: LeaseCall): LeaseShortage[] {
    if (this.refuses) return []
    const needs = wants.filter(({ missing }) => missing !== '0')
    const short = needs.flatMap((want) => this.#shortage(want))
    if (short.length > 0) return short
    for (const { budget, subject, missing } of needs) {
      const window = windowAt(this.rule, Date.now())
      const row = this.#row({ budget, subject, window, epoch: this.epoch })
      row.granted += parseAmount(missing)!
    }
    return []
  }

  #shortage({ budget, subject, missing }: LeaseWant): LeaseShortage[] {
    const left = this.limitOf(budget, subject) - this.committed(budget, subject)
    const available = left > 0n ? left : 0n
    if (parseAmount(missing)! <= available) return []
    const window = windowAt(this.rule, Date.now())
    return [{ budget, subject, window, missing, available: formatAmount(available) }]
  }

  #tell(call: LeaseCall, short: LeaseShortage[]): void {
    const { tenant } = call
    const spoken = new Set(call.leases.map((lease) => this.#row(lease)))
    for (const { budget, subject } of call.wants)
      for (const row of this.#rows.values())
        if (row.name.budget === budget && row.name.subject === subject) spoken.add(row)
    const refused = call.wants.length === 0 ? null : (this.refuses ?? (short.length > 0 ? 'SHORT' : null))
    const answer: LeaseAnswer = {
      ...{ type: 'leaseAnswer', call: call.call, tenant, refused, short },
      leases: [...spoken].map(known),
    }
    setTimeout(() => this.#answer(answer), 1)
  }

  #row({ budget, subject, window: { from, to }, epoch }: Row['name']): Row {
    const key = JSON.stringify([budget, subject, from, to, epoch])
    const name = { budget, subject, window: { from, to }, epoch }
    const row = this.#rows.get(key) ?? { granted: 0n, returned: 0n, posted: 0n, name }
    this.#rows.set(key, row)
    return row
  }
}

function known({ granted, returned, posted, name }: Row): KnownLease {
  const amounts = { granted: formatAmount(granted), returned: formatAmount(returned), posted: formatAmount(posted) }
  const { from, to } = name.window
  return { ...name, ...amounts, mac: `of ${amounts.granted}`, notBefore: to === endOfTime ? 0 : from }
}
