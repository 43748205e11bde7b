import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { JournalRecorder } from '../../adapters/ports/journal/recorder.ts'
import { MemoryRecorder } from '../../adapters/ports/recorder-memory.ts'
import type { Recorder } from '../../data-plane/ports.ts'
import type { RecordDraft } from '../../data-plane/record.ts'
import { mintId } from '../../schema/ids.ts'

const tenant = mintId('tenant')
const draft = (id = mintId('request')) => ({ id, tenant, at: Date.now(), alias: 'a' }) as RecordDraft

/** What any recorder is, however it keeps things: made, read and made to refuse. */
interface Kind {
  make(): Promise<{
    recorder: Recorder
    recorded: () => string[]
    fill: () => Promise<void>
    close: () => Promise<void>
  }>
}

const kinds: Record<string, Kind> = {
  memory: {
    async make() {
      const recorder = new MemoryRecorder()
      const fill = async () => {
        recorder.isFull = true
      }
      return { recorder, recorded: () => recorder.records.map(({ id }) => id), fill, close: async () => {} }
    },
  },
  journal: {
    async make() {
      const dataDir = mkdtempSync(join(tmpdir(), 'sluice-contract-'))
      const identity = { instance: mintId('instance'), dataPlane: mintId('dataPlane'), bootId: 'b', version: '0' }
      const recorder = await JournalRecorder.open({ dataDir, identity, bytesMax: 20 * 1024 * 1024 })
      const recorded = () =>
        recorder.next(tenant, 0, 0, { records: 1_000, bytes: 1e9 }).map((text) => JSON.parse(text).id)
      const fill = async () => {
        for (let at = 0; at < 12; at++) await recorder.record({ ...draft(), alias: 'x'.repeat(3_000_000) })
      }
      const close = async () => {
        await recorder.close()
        rmSync(dataDir, { recursive: true })
      }
      return { recorder, recorded, fill, close }
    },
  },
}

describe.each(Object.entries(kinds))('a recorder (%s)', (_name, kind) => {
  it('keeps every record it resolved, in the order in which they were given', async () => {
    const { recorder, recorded, close } = await kind.make()
    const drafts = Array.from({ length: 50 }, () => draft())
    const outcomes = await Promise.all(drafts.map((each) => recorder.intend(each) ?? recorder.record(each)))
    expect(outcomes.every((outcome) => outcome === undefined)).toBe(true)
    expect(recorded()).toEqual(drafts.map(({ id }) => id))
    await close()
  })
  it('takes several intents of one exchange, and a record without any', async () => {
    const { recorder, recorded, close } = await kind.make()
    const tried = draft()
    recorder.intend(tried)
    recorder.intend(tried)
    const refused = draft()
    await recorder.record(refused)
    await recorder.record(tried)
    expect(recorded()).toEqual([refused.id, tried.id])
    await close()
  })
  it('refuses an intent once it can keep no more', async () => {
    const { recorder, fill, close } = await kind.make()
    await fill()
    expect(recorder.intend(draft())).toEqual({ refused: 'recorder_unavailable' })
    await close()
  })
})
