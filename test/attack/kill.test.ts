import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { JournalRecorder } from '../../adapters/ports/journal/recorder.ts'
import { chainStart, recordHash } from '../../schema/flight-record.ts'
import { mintId } from '../../schema/ids.ts'
import { chat, hello } from '../flow/gateway.ts'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'

let upstream: ScriptedUpstream
beforeAll(async () => {
  upstream = await scriptedUpstream()
})
afterAll(() => upstream.stop())

const mix = [
  answers.chat('ok'),
  answers.error(500, 'no'),
  answers.chat('a b c').chunkDelayMs(2),
  answers.chat('late').headDelayMs(10),
]

/** One life under load, ended by SIGKILL; answers the ids of all exchanges that a client saw the end of. */
async function liveAndDie(dataDir: string, instance: string, ms: number): Promise<string[]> {
  const main = join(import.meta.dirname, 'kill-main.ts')
  const child = Bun.spawn([process.execPath, main, dataDir, instance, `${upstream.url}/v1`], {
    stdout: 'pipe',
    env: { ...process.env, TMPDIR: dataDir },
  })
  const { url, key } = JSON.parse(new TextDecoder().decode((await child.stdout.getReader().read()).value))
  const answered: string[] = []
  let dead = false
  const ask = async (first: number) => {
    for (let at = first; !dead; at++) {
      const stream = at % 2 === 0
      upstream.otherwise(mix[at % mix.length]!)
      const answer = await chat(url, key, { ...hello, stream }).catch(() => undefined)
      const text = await answer?.text().catch(() => undefined)
      if (!answer || text === undefined) continue
      const ended = !stream || answer.status !== 200 || text.includes('[DONE]')
      if (ended) answered.push(answer.headers.get('x-sluice-request-id')!)
    }
  }
  const asking = Array.from({ length: 16 }, (_, at) => ask(at))
  await Bun.sleep(ms)
  process.kill(child.pid, 'SIGKILL')
  dead = true
  await child.exited
  await Promise.all(asking)
  return answered
}

describe('a gateway killed under load, twice', () => {
  it('keeps exactly one record of every exchange it answered, in unbroken chains', async () => {
    const dataDir = mkdtempSync(join(tmpdir(), 'sluice-kill-'))
    const instance = mintId('instance')
    const answered = [
      ...(await liveAndDie(dataDir, instance, 400 + Math.random() * 300)),
      ...(await liveAndDie(dataDir, instance, 300 + Math.random() * 300)),
    ]
    const identity = { instance, dataPlane: mintId('dataPlane'), bootId: 'b', version: '0' }
    const recorder = await JournalRecorder.open({ dataDir, identity })
    const kept: string[] = []
    for (const { tenant, epoch } of recorder.pending()) {
      let previous = chainStart
      for (const [sequence, text] of recorder.next(tenant, epoch, 0, { records: 1e6, bytes: 1e10 }).entries()) {
        const record = JSON.parse(text)
        expect([record.sequence, record.previousHash]).toEqual([sequence, previous])
        previous = recordHash(text)
        kept.push(record.id)
      }
    }
    const once = new Set(kept)
    expect(kept).toHaveLength(once.size)
    expect(answered.length).toBeGreaterThan(20)
    expect(answered.filter((id) => !once.has(id))).toEqual([])
    await recorder.close()
    rmSync(dataDir, { recursive: true })
  })
})
