import { describe, expect, it } from 'vitest'
import type { ChainHead, PlaneMessage } from '../../schema/link.ts'
import { RecordDelivery } from './link-delivery.ts'
import type { RecordSource } from './link-records.ts'

type Records = Extract<PlaneMessage, { type: 'records' }>
const hash = '0'.repeat(64)
const headOf = (tenant: string, sequence: number, epoch = 1): ChainHead => ({ tenant, epoch, sequence, hash })

/** Any number of tenants, each with a chain of records of one size. */
const begin = (tenants: string[], length: number, bytes: number, heads: ChainHead[] = []) => {
  const sent: Records[] = []
  const acked = new Map<string, number>()
  const failures: unknown[] = []
  let broken: Error | undefined
  let wake = () => {}
  const source: RecordSource = {
    pending: () =>
      tenants.filter((tenant) => (acked.get(tenant) ?? -1) < length - 1).map((tenant) => ({ tenant, epoch: 1 })),
    async next(_tenant, _epoch, from, max) {
      if (broken) throw broken
      const count = Math.min(length - from, max.records, Math.max(1, Math.floor(max.bytes / bytes)))
      return Array.from({ length: Math.max(count, 0) }, () => 'x'.repeat(bytes))
    },
    acked: (head) => void acked.set(head.tenant, head.sequence),
    refused: () => {},
    onDurable: (woken) => {
      wake = woken
      return () => {
        wake = () => {}
      }
    },
    deliveredThroughMs: () => null,
  }
  const delivery = new RecordDelivery(
    source,
    heads,
    (batch) => sent.push(batch),
    (error) => failures.push(error),
  )
  const breakWith = (error: Error | undefined) => (broken = error)
  return { sent, acked, failures, delivery, breakWith, wake: () => wake() }
}
const settle = () => Bun.sleep(2)

describe('delivery', () => {
  it("goes on from the control plane's head", async () => {
    const { sent, acked } = begin(['a'], 10, 1, [headOf('a', 6)])
    await settle()
    expect(acked.get('a')).toBe(6)
    expect(sent.map(({ from, records }) => [from, records.length])).toEqual([[7, 3]])
  })

  it('has one batch of a chain under way at a time, and sends the next when it is acknowledged', async () => {
    const { sent, delivery, wake } = begin(['a'], 1_200, 1)
    await settle()
    wake()
    await settle()
    expect(sent.length).toBe(1)
    delivery.acked(headOf('a', 499))
    await settle()
    delivery.acked(headOf('a', 999))
    await settle()
    expect(sent.map(({ from, records }) => [from, records.length])).toEqual([
      [0, 500],
      [500, 500],
      [1_000, 200],
    ])
  })

  it('never has more than a bounded number of bytes without an answer, over however many chains', async () => {
    const tenants = Array.from({ length: 50 }, (_, n) => `t${n}`)
    const { sent, delivery } = begin(tenants, 100, 500_000)
    let under = 0
    let most = 0
    let seen = 0
    for (let round = 0; round < 2_000 && seen < 50 * 100; round++) {
      await settle()
      const batch = sent.shift()
      for (const { records } of [batch, ...sent].filter((each) => each !== undefined)) under += records.length * 500_000
      most = Math.max(most, under)
      under = 0
      if (!batch) break
      seen += batch.records.length
      delivery.acked(headOf(batch.tenant, batch.from + batch.records.length - 1))
    }
    expect(seen).toBe(5_000)
    // The bound, and the one batch that may reach over it.
    expect(most).toBeLessThanOrEqual(8 * 1024 * 1024 + 3 * 1024 * 1024)
  })

  it('goes back where a refusal says, and stops a chain that makes no progress', async () => {
    const { sent, delivery } = begin(['a'], 10, 1, [headOf('a', 4)])
    await settle()
    const refusal = { type: 'recordsRefused' as const, tenant: 'a', epoch: 1, head: headOf('a', 1), reason: 'no' }
    for (let round = 0; round < 5; round++) {
      delivery.refused(refusal)
      await settle()
    }
    expect(sent.map(({ from }) => from)).toEqual([5, 2, 2])
  })

  it('does not ask for a quarantined chain again, while others go on', async () => {
    const { sent, delivery } = begin(['a', 'b'], 600, 1)
    await settle()
    delivery.refused({ type: 'recordsRefused', tenant: 'a', epoch: 1, head: null, reason: 'forked' })
    delivery.acked(headOf('b', 499))
    await settle()
    expect(sent.map(({ tenant, from }) => [tenant, from])).toEqual([
      ['a', 0],
      ['b', 0],
      ['b', 500],
    ])
  })

  it('tells of a source that fails, and is silent once closed', async () => {
    const { sent, failures, delivery, breakWith, wake } = begin(['a'], 10, 1, [headOf('a', 4)])
    await settle()
    breakWith(new Error('disk'))
    delivery.acked(headOf('a', 5))
    await settle()
    expect(failures).toEqual([new Error('disk')])
    breakWith(undefined)
    delivery.close()
    wake()
    delivery.acked(headOf('a', 6))
    await settle()
    expect(sent.length).toBe(1)
  })
})
