import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { BudgetCounter, Reservation } from '../../../data-plane/ports.ts'
import type { RecordDraft } from '../../../data-plane/record.ts'
import { windowAt } from '../../../schema/budget-window.ts'
import type { RecordPosting } from '../../../schema/flight-record.ts'
import { mintId } from '../../../schema/ids.ts'
import type { LeaseCall } from '../../../schema/link-lease.ts'
import { formatAmount } from '../../../schema/money.ts'
import { systemClock } from '../clock-system.ts'
import { JournalRecorder } from '../journal/recorder.ts'
import { underWayMax } from './call-window.ts'
import { LeaseLedger } from './lease-ledger.ts'

const tenant = mintId('tenant')
const identity = { instance: mintId('instance'), dataPlane: mintId('dataPlane'), bootId: 'b', version: '0' }
const rule = { period: 'LIFETIME' as const, windowMs: null, timeZone: 'UTC', anchorMs: 0 }
const window = windowAt(rule, Date.now())
const counter: BudgetCounter = {
  subject: null,
  of: {
    ...{ id: 'bud_a', name: 'a', action: 'BLOCK', isHard: true, downgradeTo: null, waitForFundsMs: 0, rule, depth: 0 },
  },
}
const dirs: string[] = []
let dataDir: string
let open: { ledger: LeaseLedger; journal: JournalRecorder }[] = []
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'sluice-leases-'))
  dirs.push(dataDir)
})
afterEach(async () => {
  for (const { ledger, journal } of open.splice(0)) {
    ledger.close()
    await journal.close()
  }
  for (const dir of dirs.splice(0)) rmSync(dir, { recursive: true })
})

async function start() {
  const journal = await JournalRecorder.open({ dataDir, identity })
  const ledger = new LeaseLedger({ journal, clock: systemClock, log: () => {} })
  open.push({ ledger, journal })
  return { ledger, journal }
}

/** As if the process was killed: nothing is closed, what was written is there. */
function kill(): void {
  for (const { ledger } of open) ledger.close()
  open = []
}

function link({ ledger, journal }: Awaited<ReturnType<typeof start>>, epoch: number): LeaseCall[] {
  const calls: LeaseCall[] = []
  journal.openEpoch(epoch)
  ledger.linkOpened(epoch, (call) => calls.push(call))
  return calls
}

function known(granted: bigint, { epoch = 1, returned = 0n, posted = 0n } = {}) {
  const amounts = { granted: formatAmount(granted), returned: formatAmount(returned), posted: formatAmount(posted) }
  return { budget: 'bud_a', subject: null, window, epoch, mac: 'm', notBefore: 0, ...amounts }
}

async function grant(ledger: LeaseLedger, granted: bigint, epoch = 1): Promise<void> {
  ledger.answered({
    type: 'leaseAnswer',
    call: 0,
    tenant,
    leases: [known(granted, { epoch })],
    refused: null,
    short: [],
  })
  await until(() => ledger.money.some(({ held }) => held >= granted))
}

async function until(isSo: () => boolean): Promise<void> {
  for (let tries = 0; !isSo(); tries++) {
    if (tries > 500) throw new Error('it did not come to that')
    await Bun.sleep(2)
  }
}

const need = (ceiling: bigint, exchange?: string) => ({ tenant, counters: [counter], ceiling, atMs: 0, exchange })
const isThere = (ledger: LeaseLedger, ceiling: bigint) => {
  const funding = ledger.reserve(need(ceiling))
  if ('short' in funding) return false
  ledger.void(funding)
  return true
}
function reserved(ledger: LeaseLedger, ceiling: bigint, exchange?: string): Reservation {
  const funding = ledger.reserve(need(ceiling, exchange))
  if ('short' in funding) throw new Error('there should have been money')
  return funding
}
const draft = (id: string, postings: RecordPosting[]): RecordDraft =>
  ({ id, tenant, at: Date.now(), alias: 'a', postings }) as unknown as RecordDraft

describe('a gateway’s ledger', () => {
  it('is there after a kill as its journal proves it, with what was in flight charged at its ceiling', async () => {
    const before = await start()
    link(before, 1)
    await grant(before.ledger, 100n)
    const spent = reserved(before.ledger, 30n, 'req_1')
    before.journal.intend(draft('req_1', spent.atCeiling()))
    await before.journal.record(draft('req_1', before.ledger.post(spent, 10n)))
    before.journal.intend(draft('req_2', reserved(before.ledger, 40n, 'req_2').atCeiling()))
    kill()
    const { ledger } = await start()
    expect(ledger.money).toEqual([{ tenant, held: 50n, reserved: 0n }])
    expect(isThere(ledger, 51n)).toBe(false)
    expect(isThere(ledger, 50n)).toBe(true)
  })

  it('frees what an attempt did not use when a frame of its exchange is written, and not before', async () => {
    const { ledger, journal } = await start()
    link({ ledger, journal }, 1)
    await grant(ledger, 100n)
    const reservation = reserved(ledger, 100n, 'req_1')
    const postings = ledger.post(reservation, 1n)
    expect(isThere(ledger, 99n)).toBe(false)
    void journal.record(draft('req_2', []))
    expect(isThere(ledger, 99n)).toBe(false)
    void journal.record(draft('req_1', postings))
    expect(isThere(ledger, 99n)).toBe(true)
  })

  it('keeps leases when the segments that told of them are removed', async () => {
    const before = await start()
    link(before, 1)
    await grant(before.ledger, 100n)
    for (let at = 0; at < 12; at++) {
      const reservation = reserved(before.ledger, 5n, `req_${at}`)
      const postings = before.ledger.post(reservation, 5n)
      await before.journal.record({ ...draft(`req_${at}`, postings), alias: 'x'.repeat(3_000_000) })
    }
    const [pending] = before.journal.pending()
    const texts = before.journal.next(tenant, pending!.epoch, 0, { records: 100, bytes: 1e9 })
    const hash = '0'.repeat(64)
    before.journal.acked({ tenant, epoch: 1, sequence: texts.length - 1, hash })
    expect(readdirSync(join(dataDir, 'journal'))).toHaveLength(1)
    kill()
    const { ledger } = await start()
    expect(ledger.money).toEqual([{ tenant, held: 40n, reserved: 0n }])
  })

  it('gives everything back before it stops, and waits until the control plane knows', async () => {
    const { ledger, journal } = await start()
    const calls = link({ ledger, journal }, 1)
    await grant(ledger, 100n)
    const drained = ledger.drain(5_000)
    await until(() => calls.some(({ leases }) => leases[0]?.returned === formatAmount(100n)))
    const leases = [known(100n, { returned: 100n })]
    ledger.answered({ type: 'leaseAnswer', call: 0, tenant, leases, refused: null, short: [] })
    expect(await drained).toBe(true)
    expect(isThere(ledger, 1n)).toBe(false)
  })

  it('does not wait for a control plane that is not there', async () => {
    const { ledger, journal } = await start()
    link({ ledger, journal }, 1)
    await grant(ledger, 100n)
    ledger.linkClosed()
    expect(isThere(ledger, 100n)).toBe(true)
    expect(await ledger.drain(60_000)).toBe(false)
  })

  it('reports all that it holds on a new link, and spends nothing more of the old one’s', async () => {
    const { ledger, journal } = await start()
    link({ ledger, journal }, 1)
    await grant(ledger, 100n)
    ledger.linkClosed()
    const calls = link({ ledger, journal }, 2)
    await until(() => calls.some(({ leases }) => leases[0]?.returned === formatAmount(100n)))
    expect(calls[0]).toMatchObject({ whole: true, leases: [{ epoch: 1, granted: formatAmount(100n) }] })
    expect(isThere(ledger, 1n)).toBe(false)
  })

  it('reports that it holds nothing for a tenant that it serves', async () => {
    const { ledger, journal } = await start()
    const other = mintId('tenant')
    ledger.serve(new Map([[other, new Set<string>()]]))
    const calls = link({ ledger, journal }, 1)
    await until(() => calls.length > 0)
    expect(calls).toMatchObject([{ tenant: other, whole: true, leases: [], wants: [] }])
  })

  it('has no more calls under way than a control plane takes, however many tenants there are', async () => {
    const { ledger, journal } = await start()
    ledger.serve(new Map(Array.from({ length: 300 }, (_, at) => [`ten_${at}`, new Set<string>()])))
    const calls = link({ ledger, journal }, 1)
    await until(() => calls.length > 0)
    expect(calls).toHaveLength(underWayMax)
    for (let at = 0; at < 300; at++) {
      const { call, tenant: of } = calls[at]!
      ledger.answered({ type: 'leaseAnswer', call, tenant: of, leases: [], refused: null, short: [] })
    }
    expect(new Set(calls.map(({ tenant: of }) => of)).size).toBe(300)
  })

  it('gives back the money of a tenant that it no longer serves', async () => {
    const { ledger, journal } = await start()
    ledger.serve(new Map([[tenant, new Set(['bud_a'])]]))
    const calls = link({ ledger, journal }, 1)
    await grant(ledger, 100n)
    ledger.serve(new Map())
    await until(() => calls.some(({ leases }) => leases[0]?.returned === formatAmount(100n)))
    expect(ledger.money).toEqual([{ tenant, held: 0n, reserved: 0n }])
    expect(await ledger.fund(need(1n))).toMatchObject({ reason: 'UNREACHABLE' })
  })

  it('goes by the control plane’s clock once it is measured', async () => {
    const { ledger, journal } = await start()
    link({ ledger, journal }, 1)
    await grant(ledger, 100n)
    ledger.clockOffset(window.to - Date.now())
    expect(isThere(ledger, 1n)).toBe(false)
    ledger.clockOffset(0)
    expect(isThere(ledger, 1n)).toBe(true)
  })
})
