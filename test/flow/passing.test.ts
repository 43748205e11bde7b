import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { startGateway, type TestGateway } from './gateway.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway

beforeAll(async () => {
  upstream = await scriptedUpstream()
  upstream.otherwise(answers.chat('never asked'))
  const codecs = ['OPENAI_CHAT', 'OPENAI_COMPLETIONS', 'OPENAI_EMBEDDINGS'] as const
  gateway = await startGateway({ baseUrl: `${upstream.url}/v1`, provider: { codecs: [...codecs] } })
})
afterAll(async () => {
  await gateway.stop()
  await upstream.stop()
})

const post = (path: string, body: object) =>
  fetch(`${gateway.url}/v1/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${gateway.key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'house', ...body }),
  })

describe('a request that only passes', () => {
  it.each([
    ['completions', { prompt: 'a', suffix: {} }, 'suffix'],
    ['completions', { prompt: [] }, 'prompt'],
    ['completions', { prompt: 'a', best_of: -1 }, 'best_of'],
    ['embeddings', { input: [] }, 'input'],
    ['embeddings', { input: 7 }, 'input'],
  ])('to %s with %j is refused by the name of the field, and goes nowhere', async (path, body, param) => {
    const answer = await post(path, body)
    expect([answer.status, (await answer.json()).error.param]).toEqual([400, param])
    expect([upstream.requests.length, gateway.faults]).toEqual([0, []])
  })
})
