import { describe, expect, it } from 'vitest'
import { coalesce } from './coalesce.ts'
import { queuedBytesMax, SendQueue, socketBytesMax } from './send-queue.ts'

describe('coalesced work', () => {
  const gated = () => {
    const gates: { open: () => void; fail: (error: Error) => void }[] = []
    const wake = coalesce(() => new Promise<void>((open, fail) => gates.push({ open, fail })))
    return { gates, wake }
  }

  it('runs once more, and only once, for any number of calls during a run', async () => {
    const { gates, wake } = gated()
    const first = wake()
    const later = [wake(), wake(), wake()]
    expect(gates.length).toBe(1)
    gates[0]!.open()
    await first
    await Bun.sleep(1)
    expect(gates.length).toBe(2)
    gates[1]!.open()
    await Promise.all(later)
    expect(gates.length).toBe(2)
  })

  it('goes on after a run that failed, and tells each caller of its own run', async () => {
    const { gates, wake } = gated()
    const first = wake()
    const second = wake()
    gates[0]!.fail(new Error('down'))
    await expect(first).rejects.toThrow('down')
    await Bun.sleep(1)
    gates[1]!.open()
    await second
  })
})

describe('a send queue', () => {
  const slow = () => {
    const sent: string[] = []
    const outlet = {
      buffered: socketBytesMax,
      send: (text: string) => sent.push(text),
      getBufferedAmount: () => outlet.buffered,
    }
    return { sent, outlet, queue: new SendQueue(outlet) }
  }

  it('sends what is urgent before acknowledgements', () => {
    const { sent, outlet, queue } = slow()
    queue.push({ ack: 1 }, { urgent: false })
    queue.push({ delta: 1 }, { urgent: true })
    queue.push({ delta: 2 }, { urgent: true })
    expect(sent).toEqual([])
    outlet.buffered = 0
    queue.flush()
    expect(sent.map((text) => JSON.parse(text))).toEqual([{ delta: 1 }, { delta: 2 }, { ack: 1 }])
  })

  it('sends only the newest of messages that replace each other', () => {
    const { sent, outlet, queue } = slow()
    for (let head = 0; head < 10; head++) queue.push({ head }, { urgent: false, key: 'chain' })
    outlet.buffered = 0
    queue.flush()
    expect(sent.map((text) => JSON.parse(text))).toEqual([{ head: 9 }])
  })

  it('is bounded, and free again once it was sent', () => {
    const { outlet, queue } = slow()
    const large = { filling: 'x'.repeat(queuedBytesMax / 2) }
    expect(queue.push(large, { urgent: true })).toBe(true)
    expect(queue.push(large, { urgent: true })).toBe(false)
    outlet.buffered = 0
    queue.flush()
    expect(queue.push({ small: 1 }, { urgent: true })).toBe(true)
  })
})
