import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sluice, startSluice } from '../prove/parts/sluice.ts'

let folder: string
let sluice: Sluice

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-governed-'))
  sluice = await startSluice(join(folder, 'data'))
})
afterAll(async () => {
  await sluice?.stop()
  rmSync(folder, { recursive: true })
})

/** Declares by the API and waits until the gateway runs it; answers the revision. */
async function declare(...resources: object[]): Promise<number> {
  const { tenant } = await sluice.ask<{ tenant: { configRevision: number } }>('{ tenant { configRevision } }')
  const { apply } = await sluice.ask<{ apply: { errors: { message: string }[]; revision: number } }>(
    'mutation ($input: ApplyInput!) { apply(input: $input) { errors { message path } revision } }',
    { input: { resources, ifRevision: tenant.configRevision } },
  )
  expect(apply.errors).toEqual([])
  for (let at = 0; at < 400; at++) {
    const answer = await ask({}, 'no-such-model')
    if (Number(answer.headers.get('x-sluice-revision')) >= apply.revision) return apply.revision
    await Bun.sleep(25)
  }
  throw new Error(`the gateway does not run revision ${apply.revision}`)
}

function ask(headers: Record<string, string> = {}, model = 'echo', more: object = {}): Promise<Response> {
  return fetch(`${sluice.running.gateway}/chat/completions`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${sluice.running.applicationKey}`,
      'content-type': 'application/json',
      ...headers,
    },
    body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello' }], ...more }),
  })
}

const refusal = (answer: Response) => answer.headers.get('x-sluice-refusal')

interface Explained {
  refusal: string | null
  revision: number
  reserve: { amount: string } | null
  target: { model: { handle: string } } | null
  steps: { stage: string; verdict: string; because: { handle: string }[]; detail: string | null }[]
}
const explain = async (input: object) =>
  (
    await sluice.ask<{ explain: Explained }>(
      `query ($input: ExplainInput!) { explain(input: $input) {
        refusal revision reserve { amount } target { model { handle } }
        steps { stage verdict because { handle } detail }
      } }`,
      { input },
    )
  ).explain

describe('what is declared holds at the gateway', () => {
  it('from policy to refusal, record, and explanation, by labels that become spend', async () => {
    const { tenant } = await sluice.ask<{
      tenant: {
        name: string
        models: { nodes: { handle: string }[] }
        apiKeys: { nodes: { handle: string; kind: string }[] }
      }
    }>('{ tenant { name models { nodes { handle } } apiKeys { nodes { handle kind } } } }')
    const model = tenant.models.nodes[0]!.handle
    const apiKey = tenant.apiKeys.nodes.find(({ kind }) => kind === 'APPLICATION')!.handle
    const before = await declare({
      tenant: {
        name: tenant.name,
        requestLabels: [
          { key: 'case', values: ['open', 'secret'] },
          { key: 'person', subject: true, from: ['user'] },
        ],
      },
    })
    const revision = await declare({
      policy: {
        name: 'no-secrets-out',
        scope: `tenant/${tenant.name}`,
        when: { requestLabels: { case: 'secret' } },
        spec: { routing: { denyModels: [model] } },
      },
    })
    expect(await ask({ 'x-sluice-labels': 'case=open' }, 'echo', { user: 'alice' })).toMatchObject({ status: 200 })
    const refused = await ask({ 'x-sluice-labels': 'case=secret' })
    expect([refused.status, refusal(refused)]).toEqual([403, 'model_not_allowed'])
    expect(refusal(await ask({ 'x-sluice-labels': 'case=other' }))).toBe('request_not_allowed')

    const asked = { apiKey, requestLabels: { case: 'secret' }, alias: 'echo', prompt: 'Hello' }
    const barred = await explain(asked)
    expect([barred.refusal, barred.revision, barred.target]).toEqual(['model_not_allowed', revision, null])
    expect(barred.steps.at(-1)).toMatchObject({ stage: 'ROUTE', verdict: 'BLOCKED' })
    expect(barred.steps.at(-1)!.because).toContainEqual({ handle: 'policy/no-secrets-out' })
    expect(await explain({ ...asked, atRevision: before })).toMatchObject({ refusal: null, revision: before })
    expect(await explain({ ...asked, requestLabels: { case: 'open', person: 'alice' } })).toMatchObject({
      refusal: null,
      target: { model: { handle: model } },
      steps: [
        { stage: 'AUTHENTICATE' },
        { stage: 'PLAN' },
        { stage: 'GUARD' },
        { stage: 'ROUTE' },
        { stage: 'ENCODE' },
      ],
    })

    const [served, blocked] = await records()
    expect(served!.requestLabels).toEqual({ case: 'open', person: expect.stringMatching(/^~/) })
    expect(blocked).toMatchObject({ refusal: 'model_not_allowed', requestLabels: { case: 'secret' } })
    expect(blocked!.decisions).toMatchObject([
      { verdict: 'BLOCKED', mode: 'ENFORCE', policy: { name: 'no-secrets-out' } },
    ])
    expect(await spendByCase()).toEqual({ open: 1, secret: 1 })
  }, 60_000)

  it('as the CLI says it too: exit 3 where a request would be refused', async () => {
    const project = await projectOfKey()
    const served = await sluice.command(
      'explain',
      'echo',
      '--project',
      project,
      '--prompt',
      'Hello',
      '--labels',
      'case=open',
    )
    expect(served.code).toBe(0)
    expect(served.out).toMatch(/goes to model\//)
    const refused = await sluice.command(
      'explain',
      'echo',
      '--project',
      project,
      '--prompt',
      'x',
      '--labels',
      'case=secret',
    )
    expect([refused.code, refused.out]).toEqual([3, expect.stringContaining('refused model_not_allowed')])
  }, 60_000)
})

interface Seen {
  refusal: string | null
  requestLabels: Record<string, string>
  decisions: { verdict: string; mode: string; policy: { name: string } | null }[]
}

/** The served and the barred request, once their records have arrived. */
async function records(): Promise<(Seen | undefined)[]> {
  for (let at = 0; at < 400; at++) {
    const { flightRecords } = await sluice.ask<{ flightRecords: { nodes: Seen[] } }>(
      '{ flightRecords { nodes { refusal requestLabels decisions { verdict mode policy { name } } } } }',
    )
    const found = ['open', 'secret'].map((value) => flightRecords.nodes.find((one) => one.requestLabels.case === value))
    if (found.every(Boolean)) return found
    await Bun.sleep(25)
  }
  throw new Error('the records do not arrive')
}

async function spendByCase(): Promise<Record<string, number>> {
  const { spend } = await sluice.ask<{
    spend: { groups: { key: { value: string }[]; points: { requests: number }[] }[] }
  }>(
    `{ spend(window: { from: "2000-01-01T00:00:00Z" }, interval: TOTAL, groupByLabels: ["case"]) {
      groups { key { value } points { requests } }
    } }`,
  )
  const counts = spend.groups.map(({ key, points }): [string, number] => [key[0]!.value, points[0]!.requests])
  return Object.fromEntries(counts.filter(([value]) => value !== ''))
}

async function projectOfKey(): Promise<string> {
  const { tenant } = await sluice.ask<{ tenant: { projects: { nodes: { handle: string }[] } } }>(
    '{ tenant { projects { nodes { handle } } } }',
  )
  return tenant.projects.nodes[0]!.handle
}
