import { sql } from 'drizzle-orm'
import type { FlightRecord, RecordPosting } from '../../../schema/flight-record.ts'
import { formatAmount, parseAmount } from '../../../schema/money.ts'
import type { Tx } from '../../db/database.ts'
import { counterOf, type LeaseName, type LeaseRow, leaseKey } from './rows.ts'
import { isRecovering } from './standing.ts'
import { declaredOf, isNamed, leasesIn, named } from './store.ts'

/** What an instance's records spend, in the order of the records. */
export interface Posted {
  /** How many of the records may be taken: all, or those before the first that names a lease that is not the instance's. */
  count: number
  bad?: string
  /** By leaseKey, of those records. */
  sums: Map<string, { lease: LeaseName; amount: bigint }>
}

/**
 * Locks the leases that records name, in the order of their keys, and looks whether they are there. A posting from no lease
 * (epoch 0: the budget only WARNs) makes its own row. So does, while these books recover from a restore, one from a lease that was
 * granted after the backup and is closed since: its spending is true, and is granted after the fact.
 */
export async function lockPosted(
  tx: Tx,
  tenant: string,
  instance: string,
  records: readonly FlightRecord[],
  nowMs: number,
): Promise<Posted> {
  const leases = new Map(
    records
      .flatMap(({ postings }) => postings.map((posting) => leaseOf(instance, posting)))
      .map((name) => [leaseKey(name), name]),
  )
  if (leases.size === 0) return { count: records.length, sums: new Map() }
  await makeMissing(
    tx,
    tenant,
    [...leases.values()].filter(({ epoch }) => epoch === 0),
    nowMs,
  )
  const rows = await leasesIn(
    tx,
    sql`select lease.* from ${named([...leases.values()])} join lease on lease.tenant = ${tenant} and ${isNamed}
      order by lease.budget, lease.subject, lease.window_from, lease.window_to, lease.instance, lease.epoch
      for update of lease`,
  )
  const there = new Set(rows.map(leaseKey))
  const strange = [...leases].filter(([key, { epoch }]) => epoch > 0 && !there.has(key)).map(([, name]) => name)
  if (strange.length > 0 && (await isRecovering(tx, tenant))) {
    await makeMissing(tx, tenant, strange, nowMs)
    for (const name of strange) there.add(leaseKey(name))
  }
  const isStrange = (posting: RecordPosting) => !there.has(leaseKey(leaseOf(instance, posting)))
  const first = records.findIndex(({ postings }) => postings.some(isStrange))
  const count = first === -1 ? records.length : first
  const sums = sumOf(instance, records.slice(0, count))
  if (first === -1) return { count, sums }
  const { budget, leaseEpoch } = records[first]!.postings.find(isStrange)!
  return {
    count,
    sums,
    bad: `record ${records[first]!.sequence} posts to lease ${leaseEpoch} of ${budget}, which this instance does not hold`,
  }
}

/** Raises what was posted of locked leases. Answers those of which more was posted than they hold. */
export async function post(tx: Tx, tenant: string, { sums }: Posted): Promise<LeaseRow[]> {
  const rows = [...sums.values()].map(({ lease: { from, to, ...rest }, amount }) => ({
    ...rest,
    from,
    to,
    amount: formatAmount(amount),
  }))
  if (rows.length === 0) return []
  const after = await leasesIn(
    tx,
    sql`update lease set posted = posted + n.amount
      from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
        as n(budget text, subject text, "from" bigint, "to" bigint, instance text, epoch bigint, amount numeric)
      where lease.tenant = ${tenant} and ${isNamed}
      returning lease.*`,
  )
  return after.filter(({ granted, returned, posted, epoch }) => epoch > 0 && posted > granted - returned)
}

export function leaseOf(instance: string, { budget, subject, window, leaseEpoch }: RecordPosting): LeaseName {
  return { budget, subject: subject ?? '', from: window.from, to: window.to, instance, epoch: leaseEpoch }
}

function sumOf(instance: string, records: readonly FlightRecord[]): Posted['sums'] {
  const sums: Posted['sums'] = new Map()
  for (const posting of records.flatMap(({ postings }) => postings)) {
    const lease = leaseOf(instance, posting)
    const key = leaseKey(lease)
    const before = sums.get(key)?.amount ?? 0n
    sums.set(key, { lease, amount: before + parseAmount(posting.amount)! })
  }
  return sums
}

/**
 * Of budgets that this tenant has or had; a posting to any other finds no row. A counter is made with its first row, so that its
 * balance is shown; one that is there is not touched.
 */
async function makeMissing(tx: Tx, tenant: string, names: LeaseName[], nowMs: number): Promise<void> {
  if (names.length === 0) return
  const declared = await declaredOf(
    tx,
    tenant,
    names.map(({ budget }) => budget),
  )
  const rows = names
    .filter(({ budget, from, to }) => declared.has(budget) && from < to)
    .map((name) => {
      const counter = counterOf(name, declared.get(name.budget))
      return { ...name, rolling: counter.from !== name.from, first: counter.from, last: counter.to }
    })
  const at = sql`${new Date(nowMs).toISOString()}::timestamptz`
  await tx.execute(sql`
    with n as materialized (
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as n(budget text, subject text, "from" bigint, "to" bigint,
        instance text, epoch bigint, rolling boolean, first bigint, last bigint)
    ), made as (
      insert into lease (tenant, budget, subject, window_from, window_to, instance, epoch, rolling, created_at)
      select ${tenant}, budget, subject, "from", "to", instance, epoch, rolling, ${at} from n
      order by budget, subject, "from", "to", instance, epoch
      on conflict do nothing
      returning budget, subject, window_from, window_to
    )
    insert into budget_counter (tenant, budget, subject, window_from, window_to, created_at, limit_amount)
    select distinct ${tenant}, n.budget, n.subject, first, last, ${at}, 0
    from made join n on n.budget = made.budget and n.subject = made.subject
      and n."from" = made.window_from and n."to" = made.window_to
    order by 2, 3, 4, 5
    on conflict do nothing`)
}
