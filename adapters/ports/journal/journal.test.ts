import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { RecordDraft } from '../../../data-plane/record.ts'
import { chainStart, recordHash } from '../../../schema/flight-record.ts'
import { mintId } from '../../../schema/ids.ts'
import { frameHeadBytes, readFrames } from './frame.ts'
import { JournalRecorder } from './recorder.ts'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'sluice-journal-'))
})
afterEach(() => rmSync(dataDir, { recursive: true }))

const identity = { instance: mintId('instance'), dataPlane: mintId('dataPlane'), bootId: 'boot', version: '1' }
const open = (over: Partial<typeof identity> = {}) =>
  JournalRecorder.open({ dataDir, identity: { ...identity, ...over } })
const tenant = mintId('tenant')

const draft = (over: Partial<RecordDraft> = {}): RecordDraft =>
  ({
    alias: 'a',
    at: Date.now(),
    cost: '0.5',
    id: mintId('request'),
    outcome: 'COMPLETED',
    tenant,
    meters: [],
    ...over,
  }) as RecordDraft

const textsOf = (recorder: JournalRecorder, of = tenant, epoch = 0) =>
  recorder.next(of, epoch, 0, { records: 10_000, bytes: 1e9 })
const segmentFile = () => join(dataDir, 'journal', readdirSync(join(dataDir, 'journal')).sort().at(-1)!)

/** Continues the chain, or throws. */
function checkChain(texts: readonly string[], from = 0): void {
  let previous: string | undefined = from === 0 ? chainStart : undefined
  for (const [index, text] of texts.entries()) {
    const record = JSON.parse(text)
    expect(record.sequence).toBe(from + index)
    if (previous !== undefined) expect(record.previousHash).toBe(previous)
    previous = recordHash(text)
  }
}

describe('the journal', () => {
  it('gives each tenant a chain of its own, gapless and linked', async () => {
    const recorder = await open()
    const other = mintId('tenant')
    await Promise.all(
      Array.from({ length: 300 }, (_, at) => recorder.record(draft({ tenant: at % 3 === 0 ? other : tenant }))),
    )
    checkChain(textsOf(recorder))
    checkChain(textsOf(recorder, other))
    expect([textsOf(recorder).length, textsOf(recorder, other).length]).toEqual([200, 100])
    await recorder.close()
  })

  it('continues its chains over a restart', async () => {
    const first = await open()
    for (let at = 0; at < 5; at++) await first.record(draft())
    await first.close()
    const second = await open()
    await second.record(draft())
    checkChain(textsOf(second))
    expect(textsOf(second)).toHaveLength(6)
    await second.close()
  })

  it('turns what was in flight at a crash into a record of what was intended, once', async () => {
    const first = await open()
    const lost = draft({ outcome: 'FAILED', cost: '9' })
    first.intend(lost)
    first.intend({ ...lost, cost: '12' })
    const answered = draft()
    first.intend(answered)
    await first.record(answered)
    // No close: the process is gone. What it wrote is in the operating system's hands.
    const second = await open()
    const records = textsOf(second).map((text) => JSON.parse(text))
    expect(records.map(({ id, cost }) => [id, cost])).toEqual([
      [answered.id, '0.5'],
      [lost.id, '12'],
    ])
    await second.close()
    const third = await open()
    expect(textsOf(third)).toHaveLength(2)
    checkChain(textsOf(third))
    await third.close()
  })

  it('cuts a torn tail wherever it was torn, and loses nothing before it', async () => {
    const recorder = await open()
    for (let at = 0; at < 4; at++) await recorder.record(draft())
    await recorder.close()
    const file = segmentFile()
    const bytes = readFileSync(file)
    const { frames } = readFrames(bytes)
    // The very last frame only says that the journal was closed.
    const last = frames.at(-2)!
    for (let at = last.at + 1; at < last.end; at += Math.max(1, Math.floor((last.end - last.at) / 40))) {
      const torn = Buffer.from(bytes)
      torn.fill(0, at)
      writeFileSync(file, torn)
      const reopened = await open()
      expect(textsOf(reopened).length).toBe(3)
      checkChain(textsOf(reopened))
      await reopened.close()
    }
  })

  it('stops the start, with the file and the place, when what had been safe is damaged', async () => {
    const recorder = await open()
    for (let at = 0; at < 4; at++) await recorder.record(draft())
    await recorder.close()
    const file = segmentFile()
    const bytes = readFileSync(file)
    const second = readFrames(bytes).frames[1]!
    bytes[second.at + frameHeadBytes + 3]! ^= 1
    writeFileSync(file, bytes)
    await expect(open()).rejects.toThrow(new RegExp(`journal is damaged: .*journal has bad bytes at ${second.at}`))
  })

  it('refuses the journal of another instance', async () => {
    const recorder = await open()
    await recorder.record(draft())
    await recorder.close()
    await expect(open({ instance: mintId('instance') })).rejects.toThrow(/belongs to another instance/)
  })

  it('delivers in order what is durable, forgets what is acknowledged, and remembers that over a restart', async () => {
    const recorder = await open()
    for (let at = 0; at < 10; at++) await recorder.record(draft())
    const texts = textsOf(recorder)
    expect(recorder.pending()).toEqual([{ tenant, epoch: 0 }])
    recorder.acked({ tenant, epoch: 0, sequence: 5, hash: recordHash(texts[5]!) })
    expect(recorder.next(tenant, 0, 6, { records: 2, bytes: 1e6 }).map((text) => JSON.parse(text).sequence)).toEqual([
      6, 7,
    ])
    expect(recorder.next(tenant, 0, 6, { records: 9, bytes: 1 })).toHaveLength(1)
    expect(recorder.backlog).toBe(4)
    recorder.acked({ tenant, epoch: 0, sequence: 9, hash: recordHash(texts[9]!) })
    expect([recorder.pending(), recorder.deliveredThroughMs()]).toEqual([[], null])
    await recorder.close()
  })

  it('begins its chains anew with a newer epoch, and still delivers those of the old one', async () => {
    const recorder = await open()
    await recorder.record(draft())
    recorder.openEpoch(4)
    await recorder.record(draft())
    expect(recorder.pending()).toEqual([
      { tenant, epoch: 0 },
      { tenant, epoch: 4 },
    ])
    expect(JSON.parse(textsOf(recorder, tenant, 4)[0]!)).toMatchObject({
      sequence: 0,
      epoch: 4,
      previousHash: chainStart,
    })
    await recorder.close()
    const second = await open()
    await second.record(draft())
    checkChain(textsOf(second, tenant, 4))
    expect(textsOf(second, tenant, 4)).toHaveLength(2)
    await second.close()
  })

  it('removes whole segments once they are delivered, and continues its chains from what is left', async () => {
    const recorder = await open()
    const alias = 'x'.repeat(200_000)
    for (let at = 0; at < 200; at++) await recorder.record(draft({ alias }))
    const before = readdirSync(join(dataDir, 'journal')).length
    expect(before).toBeGreaterThan(2)
    const texts = textsOf(recorder)
    recorder.acked({ tenant, epoch: 0, sequence: 199, hash: recordHash(texts[199]!) })
    expect(readdirSync(join(dataDir, 'journal'))).toHaveLength(1)
    await recorder.close()
    const second = await open()
    await second.record(draft())
    const [next] = second.next(tenant, 0, 200, { records: 1, bytes: 1e6 })
    expect(JSON.parse(next!)).toMatchObject({ sequence: 200, previousHash: recordHash(texts[199]!) })
    await second.close()
  })

  it('still delivers what was undelivered at a kill, over all segments that it began since', async () => {
    const first = await open()
    const alias = 'x'.repeat(200_000)
    for (let at = 0; at < 200; at++) await first.record(draft({ alias }))
    expect(readdirSync(join(dataDir, 'journal')).length).toBeGreaterThan(2)
    // No close: the process is gone.
    const second = await open()
    expect(second.backlog).toBe(200)
    expect(textsOf(second)).toHaveLength(200)
    checkChain(textsOf(second))
    await second.close()
  })

  it('continues its chains although a kill came between making a segment and its first frame', async () => {
    const first = await open()
    first.openEpoch(3)
    await first.record(draft())
    const folder = join(dataDir, 'journal')
    // Made and sized, but nothing was written to it yet; or not even sized.
    for (const bytes of [Buffer.alloc(4096), Buffer.alloc(0)]) {
      writeFileSync(join(folder, '0000000002.journal'), bytes)
      const second = await open()
      expect(readdirSync(folder)).toEqual(['0000000001.journal'])
      await second.record(draft())
      checkChain(textsOf(second, tenant, 3))
    }
    const third = await open()
    expect(textsOf(third, tenant, 3)).toHaveLength(3)
    checkChain(textsOf(third, tenant, 3))
    await third.close()
  })

  it('keeps a segment while an exchange that began in it is still open', async () => {
    const recorder = await open()
    const long = draft()
    recorder.intend(long)
    const alias = 'x'.repeat(200_000)
    for (let at = 0; at < 200; at++) await recorder.record(draft({ alias }))
    const texts = textsOf(recorder)
    recorder.acked({ tenant, epoch: 0, sequence: 199, hash: recordHash(texts[199]!) })
    const second = await open()
    expect(second.next(tenant, 0, 200, { records: 1, bytes: 1e6 }).map((text) => JSON.parse(text).id)).toEqual([
      long.id,
    ])
    await second.close()
  })

  it('refuses to record beyond its bound on undelivered bytes', async () => {
    const recorder = await JournalRecorder.open({ dataDir, identity, bytesMax: 40 * 1024 * 1024 })
    const alias = 'x'.repeat(500_000)
    let refused = 0
    for (let at = 0; at < 120; at++) {
      const next = draft({ alias })
      if (recorder.intend(next)) refused++
      else await recorder.record(next)
    }
    expect(refused).toBeGreaterThan(0)
    await recorder.close()
  })
})
