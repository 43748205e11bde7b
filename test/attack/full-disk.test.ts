import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { JournalRecorder } from '../../adapters/ports/journal/recorder.ts'
import { mintId } from '../../schema/ids.ts'

interface Promised {
  acknowledged: string[]
  whileFull: number
  whenFreed: number
}

const instance = mintId('instance')
const tenant = mintId('tenant')
let dataDir: string
let promised: Promised

/** The room ends in the middle of a frame, as it does on a real disk. */
const roomBytes = 100_001

beforeAll(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'sluice-full-'))
  const main = join(import.meta.dirname, 'full-disk-main.ts')
  const child = Bun.spawn(
    ['sh', '-c', 'trap "" XFSZ; exec "$@"', 'sh', process.execPath, main, dataDir, instance, tenant, String(roomBytes)],
    { stdout: 'pipe', stderr: 'inherit' },
  )
  promised = JSON.parse(await new Response(child.stdout).text())
})
afterAll(() => rmSync(dataDir, { recursive: true, force: true }))

describe('a disk that is full for a while', () => {
  it('takes no promise while it is full', () => {
    expect(promised.whileFull).toBe(0)
  })

  it('is written again, without a restart, once there is room', () => {
    expect(promised.whenFreed).toBe(10)
  })

  it('leaves a journal that starts, and holds every record that was acknowledged', async () => {
    const identity = { instance, dataPlane: mintId('dataPlane'), bootId: 'b', version: '1' }
    const recorder = await JournalRecorder.open({ dataDir, identity })
    const texts = recorder.next(tenant, 0, 0, { records: 10_000, bytes: 1e9 })
    const kept = new Set(texts.map((text) => JSON.parse(text).id))
    expect(promised.acknowledged.filter((id) => !kept.has(id))).toEqual([])
    await recorder.close()
  })
})
