import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { formatAmount, parseAmount } from '../../schema/money.ts'
import { modelServer } from '../real/model-server.ts'
import { Checks, type Proof, type ProofOptions } from './parts/proof.ts'
import { type Sluice, startSluice } from './parts/sluice.ts'
import { type SpendWatcher, watchSpend } from './parts/spend-watcher.ts'

/** Per million tokens; odd on purpose, so that rounding anywhere would show. */
const inputPrice = '0.123457'
const outputPrice = '7.654321'

const declaration = (baseUrl: string) => `
kind: Provider
name: llama
platform: OPENAI_COMPATIBLE
baseUrl: ${baseUrl}
selfHosted: true
---
kind: Model
name: gemma
provider: provider/llama
upstreamName: gemma
contextTokens: 2048
maxOutputTokens: 64
---
kind: PriceSheet
name: proof
currency: USD
lines:
  - { model: model/gemma, meter: INPUT_TOKENS, amount: "${inputPrice}", per: 1000000 }
  - { model: model/gemma, meter: OUTPUT_TOKENS, amount: "${outputPrice}", per: 1000000 }
---
kind: Alias
name: house-model
model: model/gemma
`

const proof: Proof = {
  shows: 'a model declared from a file answers the openai SDK, and every view of the money agrees to the last digit',
  async run(options) {
    const model = await modelServer()
    const folder = mkdtempSync(join(tmpdir(), 'sluice-proof-'))
    const sluice = await startSluice(join(folder, 'data'))
    try {
      return await story(options, sluice, `${model.url}/v1`, folder)
    } finally {
      await sluice.stop()
      await model.stop()
      rmSync(folder, { recursive: true })
    }
  },
}
export default proof

async function story({ say }: ProofOptions, sluice: Sluice, baseUrl: string, folder: string) {
  const checks = new Checks()
  const file = join(folder, 'house.yaml')
  writeFileSync(file, declaration(baseUrl))
  checks.equal('sluice apply', (await sluice.command('apply', '-f', file, '--yes')).code, 0)
  checks.equal('sluice diff after apply', (await sluice.command('diff', '-f', file)).code, 0)
  say('declared; waiting until the gateway serves it')
  const client = new OpenAI({ baseURL: sluice.running.gateway, apiKey: sluice.running.applicationKey, maxRetries: 0 })
  await modelAppears(client, 'house-model')

  const watcher = watchSpend(sluice.running)
  await watcher.opened
  const used = { input: 0, output: 0 }
  for (let at = 0; at < 10; at++) {
    await plainChat(client, at, used)
    await streamedChat(client, at, used)
    if (at === 3 || at === 6) watcher.cut()
    say(
      `${(at + 1) * 2} of 20 chats, ${used.input} tokens in, ${used.output} out; the subscription was cut ${watcher.cuts} times`,
    )
  }
  return judge(sluice, watcher, used, checks)
}

/** Compares what the SDK was told, what the subscription saw, what the query says, and what the records hold. */
async function judge(sluice: Sluice, watcher: SpendWatcher, used: { input: number; output: number }, checks: Checks) {
  await watcher.until(20)
  const spend = await sluice.ask<SpendAnswer>(spendQuery, { window: { from: watcher.since } })
  const records = await allRecords(sluice)
  const perToken = (price: string) => parseAmount(price)! / 1_000_000n
  const expected = perToken(inputPrice) * BigInt(used.input) + perToken(outputPrice) * BigInt(used.output)
  const amounts = {
    sdk: formatAmount(expected),
    ticks: formatAmount(watcher.cost),
    query: spend.spend.total.amount,
    records: formatAmount(records.reduce((sum, { cost }) => sum + parseAmount(cost.amount)!, 0n)),
    meters: formatAmount(
      records
        .flatMap(({ meters }) => meters)
        .reduce(
          (sum, { meter, quantity }) =>
            sum + perToken(meter === 'OUTPUT_TOKENS' ? outputPrice : inputPrice) * BigInt(quantity),
          0n,
        ),
    ),
  }
  checks.that(expected > 0n, 'nothing was spent')
  for (const [view, amount] of Object.entries(amounts))
    checks.equal(`${view} against price × tokens that the SDK saw`, amount, amounts.sdk)
  checks.equal('records', records.length, 20)
  checks.equal('requests seen by the subscription', watcher.requests, 20)
  checks.that(watcher.cuts === 2 && watcher.connections >= 3, 'the subscription was not cut and resumed twice')
  checks.that(
    records.every(({ meters }) => meters.every(({ source }) => source === 'REPORTED')),
    'usage was not always reported',
  )
  watcher.close()
  return {
    figures: {
      chats: 20,
      input: used.input,
      output: used.output,
      cost: amounts.sdk,
      ticks: watcher.ticks,
      connections: watcher.connections,
    },
    short: checks.short,
  }
}

interface SpendAnswer {
  spend: { total: { amount: string } }
}
const spendQuery = `query ($window: TimeRange!) { spend(window: $window, interval: TOTAL) { total { amount currency } settledThrough } }`

interface RecordNode {
  cost: { amount: string }
  meters: { meter: string; quantity: number; source: string }[]
}
const recordsQuery = `{ flightRecords(first: 100) { nodes { cost { amount } meters { meter quantity source } } } }`

async function allRecords(sluice: Sluice): Promise<RecordNode[]> {
  const answer = await sluice.ask<{ flightRecords: { nodes: RecordNode[] } }>(recordsQuery)
  return answer.flightRecords.nodes
}

async function modelAppears(client: OpenAI, name: string): Promise<void> {
  const deadlineMs = performance.now() + 10_000
  while (performance.now() < deadlineMs) {
    const { data } = await client.models.list()
    if (data.some(({ id }) => id === name)) return
    await Bun.sleep(20)
  }
  throw new Error(`the gateway does not serve ${name} ten seconds after it was declared`)
}

const question = (at: number) => ({
  model: 'house-model',
  messages: [{ role: 'user' as const, content: `Count upwards from ${at} and say something about each number.` }],
  max_tokens: 24 + at,
  temperature: 0,
})

async function plainChat(client: OpenAI, at: number, used: { input: number; output: number }): Promise<void> {
  const { usage } = await client.chat.completions.create(question(at))
  used.input += usage!.prompt_tokens
  used.output += usage!.completion_tokens
}

async function streamedChat(client: OpenAI, at: number, used: { input: number; output: number }): Promise<void> {
  const stream = await client.chat.completions.create({
    ...question(at),
    stream: true,
    stream_options: { include_usage: true },
  })
  for await (const { usage } of stream) {
    used.input += usage?.prompt_tokens ?? 0
    used.output += usage?.completion_tokens ?? 0
  }
}
