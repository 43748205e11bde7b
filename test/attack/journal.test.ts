import {
  closeSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readFrames } from '../../adapters/ports/journal/frame.ts'
import { JournalRecorder } from '../../adapters/ports/journal/recorder.ts'
import type { RecordDraft } from '../../data-plane/record.ts'
import { chainStart, recordHash } from '../../schema/flight-record.ts'
import { mintId } from '../../schema/ids.ts'

let dataDir: string
beforeEach(() => {
  dataDir = mkdtempSync(join(tmpdir(), 'sluice-attack-'))
})
afterEach(() => rmSync(dataDir, { recursive: true, force: true }))

const identity = { instance: mintId('instance'), dataPlane: mintId('dataPlane'), bootId: 'boot', version: '1' }
const open = (bytesMax?: number) => JournalRecorder.open({ dataDir, identity, bytesMax })
const tenant = mintId('tenant')
const big = 'x'.repeat(1_000_000)
const draft = (over: Partial<RecordDraft> = {}) =>
  ({ alias: 'a', at: Date.now(), cost: '0', id: mintId('request'), tenant, ...over }) as RecordDraft
const textsOf = (recorder: JournalRecorder) => recorder.next(tenant, 0, 0, { records: 100_000, bytes: 1e12 })
const files = () => readdirSync(join(dataDir, 'journal')).length

function checkChain(texts: readonly string[]): void {
  let previous = chainStart
  for (const [sequence, text] of texts.entries()) {
    const record = JSON.parse(text)
    expect([record.sequence, record.previousHash]).toEqual([sequence, previous])
    previous = recordHash(text)
  }
}

describe('a journal whose segment is full', () => {
  it('still delivers every undelivered record after a restart, the one that opened the new segment too', async () => {
    const first = await open()
    const ids: string[] = []
    while (files() < 2) {
      const next = draft({ alias: big })
      ids.push(next.id)
      await first.record(next)
    }
    expect(textsOf(first)).toHaveLength(ids.length)
    await first.close()
    const second = await open()
    expect(textsOf(second).map((text) => JSON.parse(text).id)).toEqual(ids)
    checkChain(textsOf(second))
    await second.close()
  })

  it('keeps a segment whose records are still on their way to the disk, whatever is acknowledged meanwhile', async () => {
    const recorder = await open()
    for (let at = 0; at < 15; at++) await recorder.record(draft({ alias: big }))
    const inFlight = draft({ alias: big })
    const first = recorder.record(inFlight)
    const rolling = draft({ alias: big })
    const second = recorder.record(rolling)
    expect(files()).toBe(2)
    recorder.acked({ tenant, epoch: 0, sequence: 14, hash: '' })
    expect([await first, await second]).toEqual([undefined, undefined])
    const waiting = recorder.next(tenant, 0, 15, { records: 100, bytes: 1e12 })
    expect(waiting.map((text) => JSON.parse(text).id)).toEqual([inFlight.id, rolling.id])
    await recorder.close()
  })

  it('that cannot be followed by another refuses, and goes on without a gap in the chain once it can', async () => {
    const recorder = await open()
    const obstacle = join(dataDir, 'journal', '0000000002.journal')
    writeFileSync(obstacle, '')
    const acknowledged: string[] = []
    const record = async (alias: string) => {
      const next = draft({ alias })
      if (!(await recorder.record(next))) acknowledged.push(next.id)
    }
    for (let at = 0; at < 20; at++) await record(big)
    expect(recorder.intend(draft())).toEqual({ refused: 'recorder_unavailable' })
    rmSync(obstacle)
    await Bun.sleep(1_050)
    expect(recorder.trouble).toBeUndefined()
    for (let at = 0; at < 5; at++) await record('a')
    const texts = textsOf(recorder)
    checkChain(texts)
    const kept = new Set(texts.map((text) => JSON.parse(text).id))
    expect(acknowledged.filter((id) => !kept.has(id))).toEqual([])
    await recorder.close()
  })

  it('never grows beyond its bound, by refused requests neither', async () => {
    const recorder = await open(40 * 1024 * 1024)
    for (let at = 0; at < 100; at++) {
      const next = draft({ alias: big })
      recorder.intend(next)
      await recorder.record(next)
    }
    expect(files()).toBeLessThanOrEqual(4)
    await recorder.close()
  })
})

describe('a journal with a flipped bit', () => {
  const file = () => join(dataDir, 'journal', '0000000001.journal')

  function flip(at: number): void {
    const fd = openSync(file(), 'r+')
    const byte = Buffer.alloc(1)
    readSync(fd, byte, 0, 1, at)
    byte[0]! ^= 1 << (at % 8)
    writeSync(fd, byte, 0, 1, at)
    closeSync(fd)
  }

  async function surviving(): Promise<Set<string> | 'refused'> {
    const recorder = await open().catch(() => undefined)
    if (!recorder) return 'refused'
    const ids = new Set(textsOf(recorder).map((text) => JSON.parse(text).id))
    await recorder.close()
    return ids
  }

  it('anywhere but in its last group is served whole or stops the start', async () => {
    const recorder = await open()
    const ids: string[] = []
    for (let at = 0; at < 12; at++) {
      const next = draft()
      recorder.intend(next)
      await recorder.record(next)
      ids.push(next.id)
    }
    await recorder.close()
    const { frames } = readFrames(readFileSync(file()))
    const lastGroupAt = frames.at(-2)!.at
    for (let at = 3; at < lastGroupAt; at += Math.floor(lastGroupAt / 12)) {
      flip(at)
      const kept = await surviving()
      flip(at)
      if (kept !== 'refused') expect(ids.filter((id) => !kept.has(id))).toEqual([])
    }
  })

  it('stops the start after a clean end, whatever group it is in', async () => {
    const recorder = await open()
    const ids = await Promise.all(
      Array.from({ length: 40 }, async () => {
        const next = draft()
        recorder.intend(next)
        await recorder.record(next)
        return next.id
      }),
    )
    await recorder.close()
    flip(readFrames(readFileSync(file())).frames[10]!.at + 20)
    const kept = await surviving()
    expect(kept === 'refused' ? [] : ids.filter((id) => !kept.has(id))).toEqual([])
  })
})

describe('a journal of several segments', () => {
  it('one of which is gone stops the start: what it held was not delivered', async () => {
    const recorder = await open()
    while (files() < 3) {
      const next = draft({ alias: big })
      recorder.intend(next)
      await recorder.record(next)
    }
    await recorder.close()
    rmSync(join(dataDir, 'journal', '0000000002.journal'))
    await expect(open()).rejects.toThrow(/journal/)
  })
})
