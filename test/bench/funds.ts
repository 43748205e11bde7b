import type { JournalRecorder } from '../../adapters/ports/journal/recorder.ts'
import { LeaseLedger } from '../../adapters/ports/ledger/lease-ledger.ts'
import type { Clock } from '../../data-plane/ports.ts'
import { windowAt } from '../../schema/budget-window.ts'
import type { KnownLease, LeaseCall } from '../../schema/link-lease.ts'
import { formatAmount, parseAmount } from '../../schema/money.ts'
import type { SnapshotBudget } from '../../schema/snapshot-budget.ts'

const epoch = 1
const horizonS = 60n
/** A cent for a plane that has not said yet what it spends. */
const atLeast = parseAmount('0.01')!
const answerAfterMs = 2

/** The product's ledger, filled by a control plane that is never short and answers as fast as a near one would. */
export function fundedLedger(options: {
  journal: JournalRecorder
  tenant: string
  budgets: readonly SnapshotBudget[]
  clock: Clock
}): LeaseLedger {
  const { journal, tenant, budgets, clock } = options
  const ledger = new LeaseLedger({ journal, clock, log: () => {} })
  const rules = new Map(budgets.map(({ id, rule }) => [id, rule]))
  const granted = new Map<string, KnownLease>()
  const answer = (call: LeaseCall) => {
    for (const { budget, subject, window, returned } of call.leases) {
      const known = granted.get(keyOf(budget, subject, window))
      if (known) known.returned = returned
    }
    const leases = call.wants.map(({ budget, subject, missing, perSecond }): KnownLease => {
      const window = windowAt(rules.get(budget)!, clock.now())
      const name = { budget, subject, window, epoch }
      const before = granted.get(keyOf(budget, subject, window))
      const ahead = parseAmount(missing)! + parseAmount(perSecond)! * horizonS + atLeast
      const total = parseAmount(before?.granted ?? '0')! + ahead
      const totals = { granted: formatAmount(total), returned: before?.returned ?? '0', posted: '0' }
      const lease = { ...name, ...totals, mac: 'bench', notBefore: 0 }
      granted.set(keyOf(budget, subject, window), lease)
      return lease
    })
    const reported = call.leases.flatMap(
      ({ budget, subject, window }) => granted.get(keyOf(budget, subject, window)) ?? [],
    )
    ledger.answered({
      type: 'leaseAnswer',
      call: call.call,
      tenant,
      leases: [...reported, ...leases],
      refused: null,
      short: [],
    })
  }
  ledger.serve(new Map([[tenant, new Set(budgets.map(({ id }) => id))]]))
  ledger.linkOpened(epoch, (call) => void setTimeout(answer, answerAfterMs, call))
  return ledger
}

const keyOf = (budget: string, subject: string | null, window: { from: number; to: number }) =>
  JSON.stringify([budget, subject, window.from, window.to])
