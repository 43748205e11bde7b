import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../adapters/ports/clock-system.ts'
import { JournalRecorder } from '../../adapters/ports/journal/recorder.ts'
import { LeaseLedger } from '../../adapters/ports/ledger/lease-ledger.ts'
import { MemoryLedger } from '../../adapters/ports/ledger-memory.ts'
import type { BudgetCounter, Ledger, Reservation, Shortage } from '../../data-plane/ports.ts'
import { windowAt } from '../../schema/budget-window.ts'
import { mintId } from '../../schema/ids.ts'
import { formatAmount } from '../../schema/money.ts'
import { ControlDouble } from './control-double.ts'

const tenant = mintId('tenant')
const rule = { period: 'LIFETIME' as const, windowMs: null, timeZone: 'UTC', anchorMs: 0 }
const window = windowAt(rule, Date.now())
const counter = (
  id: string,
  more: Partial<BudgetCounter['of']> = {},
  subject: string | null = null,
): BudgetCounter => ({
  subject,
  of: { id, name: id, action: 'BLOCK', isHard: true, downgradeTo: null, waitForFundsMs: 150, rule, depth: 0, ...more },
})
/** Both of 100; the second is short first where the first is not. */
const wide = counter('bud_wide')
const narrow = counter('bud_narrow')
const limits: Record<string, bigint> = { bud_wide: 100n, bud_narrow: 40n, bud_each: 10n }
const limitOf = (budget: string) => limits[budget] ?? 0n

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

/** Any ledger, with limits of these budgets. */
const kinds: Record<string, () => Promise<Ledger>> = {
  async memory() {
    return new MemoryLedger(({ id }) => limitOf(id))
  },
  async leases() {
    const dataDir = mkdtempSync(join(tmpdir(), 'sluice-ledger-'))
    const identity = { instance: mintId('instance'), dataPlane: mintId('dataPlane'), bootId: 'b', version: '0' }
    const journal = await JournalRecorder.open({ dataDir, identity })
    const ledger = new LeaseLedger({ journal, clock: systemClock, log: () => {} })
    const control = new ControlDouble(limitOf, rule)
    const { epoch, send } = control.open((answer) => ledger.answered(answer))
    journal.openEpoch(epoch)
    ledger.linkOpened(epoch, send)
    closing.push(async () => {
      ledger.close()
      control.close()
      await journal.close()
      rmSync(dataDir, { recursive: true })
    })
    return ledger
  },
}

const need = (counters: BudgetCounter[], ceiling: bigint) => ({ tenant, counters, ceiling, atMs: Date.now() })
const isShort = (funding: Reservation | Shortage): funding is Shortage => 'short' in funding

async function reserved(ledger: Ledger, counters: BudgetCounter[], ceiling: bigint): Promise<Reservation> {
  const funding = await ledger.fund(need(counters, ceiling))
  if (isShort(funding)) throw new Error('there should have been money')
  return funding
}

describe.each(Object.entries(kinds))('a ledger (%s)', (_name, make) => {
  it('reserves up to the limit and not beyond it', async () => {
    const ledger = await make()
    await reserved(ledger, [narrow], 30n)
    await reserved(ledger, [narrow], 10n)
    const short = await ledger.fund(need([narrow], 1n))
    expect(short).toEqual({ short: [{ counter: narrow, missing: 1n, affordable: 0n, resetsAtMs: null }] })
  })

  it('reserves under all counters or under none', async () => {
    const ledger = await make()
    const short = await ledger.fund(need([wide, narrow], 50n))
    expect(short).toEqual({ short: [{ counter: narrow, missing: 10n, affordable: 40n, resetsAtMs: null }] })
    await reserved(ledger, [wide], 100n)
  })

  it('says in postings what each counter is charged', async () => {
    const ledger = await make()
    const reservation = await reserved(ledger, [wide, narrow], 30n)
    const posting = (budget: string, amount: bigint) => ({
      ...{ amount: formatAmount(amount), budget, subject: null, window },
      leaseEpoch: 1,
    })
    expect(reservation.atCeiling()).toEqual([posting('bud_wide', 30n), posting('bud_narrow', 30n)])
    expect(ledger.post(reservation, 12n)).toEqual([posting('bud_wide', 12n), posting('bud_narrow', 12n)])
  })

  it('frees what an attempt did not cost, and all of one that cost nothing', async () => {
    const ledger = await make()
    ledger.post(await reserved(ledger, [narrow], 40n), 15n)
    ledger.void(await reserved(ledger, [narrow], 25n))
    await reserved(ledger, [narrow], 25n)
    expect(isShort(await ledger.fund(need([narrow], 1n)))).toBe(true)
  })

  it('charges a cost above its reservation in full', async () => {
    const ledger = await make()
    const postings = ledger.post(await reserved(ledger, [narrow], 10n), 35n)
    expect(postings.map(({ amount }) => amount)).toEqual([formatAmount(35n)])
    expect(isShort(await ledger.fund(need([narrow], 6n)))).toBe(true)
    await reserved(ledger, [narrow], 5n)
  })

  it('lets a request wait for money that comes free', async () => {
    const ledger = await make()
    const first = await reserved(ledger, [narrow], 40n)
    const waits = ledger.fund(need([narrow], 20n))
    await Bun.sleep(30)
    ledger.post(first, 5n)
    expect(isShort(await waits)).toBe(false)
  })

  it('ends the wait of a client that left, and reserves nothing for it', async () => {
    const ledger = await make()
    const first = await reserved(ledger, [narrow], 40n)
    const leaving = new AbortController()
    const patient = counter('bud_narrow', { waitForFundsMs: 20_000 })
    const waits = ledger.fund(need([patient], 20n), leaving.signal)
    await Bun.sleep(30)
    leaving.abort()
    expect(isShort(await waits)).toBe(true)
    ledger.void(first)
    await reserved(ledger, [narrow], 40n)
  })

  it('counts each subject for itself', async () => {
    const ledger = await make()
    await reserved(ledger, [counter('bud_each', {}, 'one')], 10n)
    await reserved(ledger, [counter('bud_each', {}, 'two')], 10n)
    expect(isShort(await ledger.fund(need([counter('bud_each', {}, 'one')], 1n)))).toBe(true)
  })

  it('never refuses for a budget that only warns, and posts under it', async () => {
    const ledger = await make()
    const warning = counter('bud_warning', { isHard: false, action: 'WARN' })
    const reservation = ledger.reserve(need([warning], 1_000n))
    if (isShort(reservation)) throw new Error('a warning refuses nobody')
    expect(ledger.post(reservation, 7n)).toEqual([
      { amount: formatAmount(7n), budget: 'bud_warning', leaseEpoch: 0, subject: null, window },
    ])
  })

  it('lets pass what no budget counts, and what costs nothing under one that is empty', async () => {
    const ledger = await make()
    await reserved(ledger, [narrow], 40n)
    await reserved(ledger, [], 1_000n)
    expect(isShort(ledger.reserve(need([narrow], 0n)))).toBe(false)
  })

  it('is never overrun by many at once, and refuses nobody whom the rest would have paid for', async () => {
    const ledger = await make()
    let out = 0n
    let spent = 0n
    const wrong: string[] = []
    await Promise.all(
      Array.from({ length: 200 }, async (_, at) => {
        await Bun.sleep(at % 20)
        const ceiling = BigInt(1 + (at % 9))
        const funding = await ledger.fund(need([wide], ceiling))
        if (isShort(funding)) {
          if (limitOf('bud_wide') - spent - out >= ceiling) wrong.push(`${ceiling} of ${100n - spent - out}`)
          return
        }
        out += ceiling
        if (out + spent > limitOf('bud_wide')) wrong.push(`${out + spent} are out`)
        await Bun.sleep(at % 7)
        out -= ceiling
        const cost = ceiling / 2n
        spent += cost
        ledger.post(funding, cost)
      }),
    )
    expect(wrong).toEqual([])
  })
})
