import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { MemoryLedger } from '../../adapters/ports/ledger-memory.ts'
import { mintId } from '../../schema/ids.ts'
import { parseAmount } from '../../schema/money.ts'
import type { SnapshotBudget } from '../../schema/snapshot.ts'
import { hello, startGateway, type TestGateway } from '../flow/gateway.ts'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { chatRequest, open, recordsWithin } from './raw-client.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway | undefined
beforeAll(async () => {
  upstream = await scriptedUpstream()
})
afterEach(async () => {
  expect(gateway?.faults ?? []).toEqual([])
  await gateway?.stop()
  gateway = undefined
  upstream.reset()
})
afterAll(() => upstream.stop())

const unit = 1_000_000n
const prices = { input: unit, output: 10n * unit }
const stream = { ...hello, stream: true }

async function leaveAfter(ms: number, body: object): Promise<void> {
  const socket = await open(gateway!)
  socket.on('error', () => {})
  socket.resume()
  socket.write(chatRequest(gateway!.key, body))
  await Bun.sleep(ms)
  socket.destroy()
}

describe.each(['BLOCK', 'CAP'] as const)('money under a budget that is nearly spent (%s)', (onExhausted) => {
  it('is all posted or released, whoever leaves when, whatever the provider does', async () => {
    const id = mintId('budget')
    const rule = { period: 'MONTH', windowMs: null, timeZone: 'UTC', anchorMs: null } as const
    const budget: SnapshotBudget = {
      ...{ id, name: 'tight', scope: { kind: 'TENANT' }, per: null, onExhausted, downgradeTo: null },
      ...{ waitForFundsMs: 60, rule },
    }
    const limit = 6_000n * unit
    const ledger = new MemoryLedger(() => limit)
    gateway = await startGateway({
      ...{ baseUrl: `${upstream.url}/v1`, prices, budgets: [budget], ledger, retry: { attempts: 2, backoffMs: 5 } },
      model: { maxOutputTokens: 100 },
      timeouts: { firstByteMs: 200, idleMs: 200, totalMs: 400 },
    })
    const usage = { prompt_tokens: 1, completion_tokens: 1 }
    const scripts = [
      answers.chat({ text: 'ok', usage }),
      answers.chat({ text: 'ok', usage }).headDelayMs(30),
      answers.chat({ text: 'ok', usage }).firstChunkDelayMs(30),
      answers.error(503, 'x').headDelayMs(5),
      answers.sse([{ choices: [{ delta: { content: 'a' } }] }]).thenStall(),
      answers.chat({ text: Array(10).fill('w'), usage }).chunkDelayMs(5),
    ]
    let count = 0
    for (const script of scripts) {
      upstream.otherwise(script)
      const round = Array.from({ length: 24 }, (_, n) => leaveAfter(n * 4, n % 2 === 0 ? stream : hello))
      count += round.length
      await Promise.all(round)
    }
    const records = await recordsWithin(gateway, count, 4_000)
    expect(records).toHaveLength(count)
    const posted = records
      .flatMap(({ postings }) => postings)
      .reduce((sum, { amount }) => sum + parseAmount(amount)!, 0n)
    expect(ledger.balanceOf(id)).toEqual({ spent: posted, reserved: 0n })
    expect(posted <= limit).toBe(true)
    expect(records.reduce((sum, { cost }) => sum + parseAmount(cost)!, 0n)).toBe(posted)
  })
})
