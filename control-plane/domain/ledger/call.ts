import { timingSafeEqual } from 'node:crypto'
import {
  fundsWaitMsMax,
  grantStatement,
  type LeaseAnswer,
  type LeaseCall,
  leasesPerMessageMax,
  wantsPerCallMax,
} from '../../../schema/link-lease.ts'
import { formatAmount, parseAmount } from '../../../schema/money.ts'
import type { Tx } from '../../db/database.ts'
import type { Context } from '../context.ts'
import type { LinkName } from '../plane-links.ts'
import { withBooks } from './books.ts'
import { type Call, countersOf, type Decision, type Desk, decide } from './decide.ts'
import { askBack } from './recalls.ts'
import { type LeaseName, type LeaseRow, leaseKey } from './rows.ts'
import { beginRecovery, endRecovery, noteWhole, standingOf } from './standing.ts'
import { leasesNamed, openBooks, unsettledOf, writeChanges } from './store.ts'

/** How a call is tried. */
export interface Trying extends Pick<Desk, 'isWaitedFor'> {
  whole: boolean
  /** For how long others are asked for their money where it is short; null = they are not. */
  recallMs: number | null
}

/** What one try of a call came to. */
export type Tried = Decision | { fault: string }

const isFault = (tried: Tried): tried is { fault: string } => 'fault' in tried

/**
 * One transaction of a lease call: reports first, then everything that is missing or nothing of it. Where money is short and
 * `recallMs` is given, the others are asked for theirs.
 */
export async function tryCall(
  ctx: Context,
  tenant: string,
  call: Call,
  { whole, recallMs, isWaitedFor }: Trying,
): Promise<Tried> {
  const work = async (tx: Tx) => {
    const tried = await decideOn(tx, ctx, tenant, call, { whole, isWaitedFor })
    if (isFault(tried)) return { tried, incidents: [] }
    await writeChanges(tx, tenant, tried.changes)
    if (tried.restored) await beginRecovery(tx, tenant, ctx.clock.now())
    if (tried.restored) await ctx.db.notify(tx, 'planes', tenant)
    if (recallMs !== null) await askBack(tx, ctx, tenant, tried.recalls, recallMs)
    await askBack(tx, ctx, tenant, tried.overdue, fundsWaitMsMax)
    if (tried.freed) await ctx.db.notify(tx, 'funds', tenant)
    return { tried, incidents: tried.incidents }
  }
  const { tried } = await withBooks(ctx, tenant, work, ({ tried }) => !isFault(tried))
  return tried
}

async function decideOn(
  tx: Tx,
  ctx: Context,
  tenant: string,
  call: Call,
  { whole, isWaitedFor }: Omit<Trying, 'recallMs'>,
): Promise<Tried> {
  const nowMs = ctx.clock.now()
  const { instance } = call
  if (whole) {
    await noteWhole(tx, tenant, instance, nowMs)
    if (await endRecovery(tx, tenant)) await ctx.db.notify(tx, 'funds', tenant)
  }
  const budgets = [...call.leases, ...call.wants].map(({ budget }) => budget)
  const known = await standingOf(tx, tenant, instance, budgets)
  if (!known) return { fault: 'It asked for money of a tenant that it does not serve.' }
  const { standing, declared } = known
  const names = call.leases.map((reported): LeaseName => ({ ...reported, instance }))
  const reported = new Map((await leasesNamed(tx, tenant, names)).map((row) => [leaseKey(row), row]))
  const counters = countersOf(call, { nowMs, declared, known: reported })
  const books = await openBooks(tx, tenant, counters, { declared, names: [...names, ...ownOf(call, counters)], nowMs })
  const isProven: Desk['isProven'] = (name, granted, mac) => isSame(mac, proofOf(ctx, tenant, name, granted))
  const decided = decide(call, { nowMs, standing, declared, books, known: reported, isProven, isWaitedFor })
  return whole && !isFault(decided)
    ? { ...decided, leases: await withUnsettled(tx, tenant, instance, decided) }
    : decided
}

/**
 * A plane that says of everything what it holds is told of what it never heard of: grants whose answer was lost, and leases that
 * it let go of before these books were set back. Nobody would ever give those back.
 */
async function withUnsettled(tx: Tx, tenant: string, instance: string, { leases, changes }: Decision) {
  const spoken = new Map([...changes.leases, ...leases].map((row) => [leaseKey(row), row]))
  const unsettled = await unsettledOf(tx, tenant, instance, answeredLeasesMax)
  const others = unsettled.filter((row) => !spoken.has(leaseKey(row)))
  return [...leases, ...others].slice(0, answeredLeasesMax)
}

const answeredLeasesMax = leasesPerMessageMax + wantsPerCallMax

/** The leases that may be granted from, since a settled one is else not loaded. Of a ROLLING budget that is a new row. */
const ownOf = ({ instance, epoch }: Call, counters: { budget: string; subject: string; from: number; to: number }[]) =>
  counters.map(({ budget, subject, from, to }) => ({ budget, subject, from, to, instance, epoch }))

/** The control plane's word that it granted so much in all. */
export function proofOf(ctx: Pick<Context, 'vault'>, tenant: string, name: LeaseName, granted: bigint): string {
  const { instance, budget, from, to, epoch } = name
  const subject = name.subject === '' ? null : name.subject
  const grant = { tenant, instance, budget, subject, window: { from, to }, epoch, granted: formatAmount(granted) }
  return ctx.vault.digest('lease/grant', grantStatement(grant))
}

function isSame(given: string, right: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(right)]
  return a.length === b.length && timingSafeEqual(a, b)
}

/** Reads a message's amounts, which its shape has checked. */
export function readCall({ instance, epoch }: LinkName, message: LeaseCall): Call {
  const amount = (text: string) => parseAmount(text)!
  return {
    ...{ instance, epoch },
    leases: message.leases.map(({ budget, subject, window, epoch: of, granted, returned, mac }) => ({
      ...{ budget, subject: subject ?? '', from: window.from, to: window.to, epoch: of, mac },
      ...{ granted: amount(granted), returned: amount(returned) },
    })),
    wants: message.wants.map(({ budget, subject, missing, perSecond, next }) => ({
      ...{ budget, subject: subject ?? '', next, missing: amount(missing), perSecond: amount(perSecond) },
    })),
  }
}

export function answerOf(ctx: Context, { tenant, call }: LeaseCall, { leases, refused, short }: Decision): LeaseAnswer {
  return {
    ...{ type: 'leaseAnswer', call, tenant, refused },
    leases: leases.map((row) => knownLease(ctx, tenant, row)),
    short: short.map(({ budget, subject, from, to, missing, available }) => ({
      ...{ budget, subject: subject === '' ? null : subject, window: { from, to } },
      ...{ missing: formatAmount(missing), available: formatAmount(available) },
    })),
  }
}

function knownLease(ctx: Context, tenant: string, row: Readonly<LeaseRow>): LeaseAnswer['leases'][number] {
  const { budget, subject, from, to, epoch, granted, returned, posted } = row
  return {
    ...{ budget, subject: subject === '' ? null : subject, window: { from, to }, epoch, notBefore: from },
    ...{ granted: formatAmount(granted), mac: proofOf(ctx, tenant, row, granted) },
    ...{ returned: formatAmount(returned), posted: formatAmount(posted) },
  }
}

/** Names the line of a counter, whatever its window. */
export const lineOf = (tenant: string, budget: string, subject: string): string =>
  JSON.stringify([tenant, budget, subject])

/** Names the lines that a call waits in. */
export const linesOf = (tenant: string, { wants }: Call): string[] => [
  ...new Set(wants.filter(({ missing }) => missing > 0n).map(({ budget, subject }) => lineOf(tenant, budget, subject))),
]
