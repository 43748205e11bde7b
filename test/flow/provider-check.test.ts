import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePorts, type Sluice, startSluice } from '../prove/parts/sluice.ts'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'

const root = join(import.meta.dirname, '../..')
const secret = 'sk-only-the-edge-knows-it'
let folder: string
let sluice: Sluice
let upstream: ScriptedUpstream
let edge: { said(): string; stop(): Promise<void> }

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-check-'))
  upstream = await scriptedUpstream()
  sluice = await startSluice(join(folder, 'data'))
  const { out } = await sluice.command('plane', 'enroll', 'edge')
  edge = await startEdge(out.trim())
  await declare([
    provider('lab', `${upstream.url}/v1`, true),
    credential('lab'),
    provider('inner', `${upstream.url}/v1`, false),
    credential('inner'),
  ])
})
afterAll(async () => {
  await edge?.stop()
  await sluice?.stop()
  await upstream?.stop()
  rmSync(folder, { recursive: true })
})

const provider = (name: string, baseUrl: string, selfHosted: boolean) => ({
  provider: { name, platform: 'OPENAI_COMPATIBLE', codecs: ['OPENAI_CHAT'], baseUrl, selfHosted },
})
const credential = (name: string) => ({
  credential: { name, provider: `provider/${name}`, source: 'ENVIRONMENT', locator: 'env:EDGE_ONLY_KEY' },
})

async function declare(resources: object[]) {
  const { tenant } = await sluice.ask<{ tenant: { configRevision: number } }>('{ tenant { configRevision } }')
  const input = { resources, ifRevision: tenant.configRevision }
  const { apply } = await sluice.ask<{ apply: { errors: unknown[] } }>(
    'mutation ($input: ApplyInput!) { apply(input: $input) { errors { message path } } }',
    { input },
  )
  expect(apply.errors).toEqual([])
}

/** A gateway as its own process, which alone has the key in its environment. */
async function startEdge(token: string) {
  const [gatewayPort, opsPort] = await freePorts(2)
  const child = Bun.spawn([process.execPath, 'cli/sluice.ts', 'gateway'], {
    cwd: root,
    env: {
      ...sluice.env,
      ...{ SLUICE_DATA_DIR: join(folder, 'edge'), SLUICE_PLANE_TOKEN: token, EDGE_ONLY_KEY: secret },
      SLUICE_CONTROL_URL: sluice.running.graphql.replace('/graphql', ''),
      ...{ SLUICE_GATEWAY_PORT: String(gatewayPort), SLUICE_OPS_PORT: String(opsPort) },
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    void (async () => {
      for await (const chunk of stream) said += Buffer.from(chunk).toString()
    })()
  for (let at = 0; at < 800; at++) {
    if ((await fetch(`http://127.0.0.1:${opsPort}/readyz`).catch(() => undefined))?.status === 200) break
    await Bun.sleep(25)
  }
  return {
    said: () => said,
    async stop() {
      child.kill('SIGTERM')
      await child.exited
    },
  }
}

const list = (...ids: string[]) => answers.json({ object: 'list', data: ids.map((id) => ({ id })) })
const check = (name: string, ...more: string[]) =>
  sluice.command('provider', 'check', name, '--plane', 'edge', '-o', 'json', ...more)

describe('sluice provider check', () => {
  it('lists a provider’s models by the gateway that has its key, as soon as it is declared', async () => {
    upstream.next(list('big', 'small'))
    const { code, out, err } = await check('lab')
    expect([code, JSON.parse(out)]).toEqual([
      0,
      {
        ok: true,
        status: 200,
        latencyMs: expect.any(Number),
        detail: null,
        models: ['big', 'small'],
        dataPlane: { handle: 'data-plane/edge' },
      },
    ])
    expect(err).toMatch(/provider\/lab works from data-plane\/edge, 200 in \d+ ms. It lists 2 models./)
    expect(upstream.requests.at(-1)!.headers.authorization).toBe(`Bearer ${secret}`)
  })

  it('exits with 1 and one sentence where the provider refuses, redirects, never ends, or may not be reached', async () => {
    const found: Record<string, string> = {}
    const told = async (what: string, name: string) => {
      const { code, out } = await check(name)
      expect([what, code, JSON.parse(out).ok]).toEqual([what, 1, false])
      expect(out).not.toContain(secret)
      found[what] = JSON.parse(out).detail
    }
    upstream.next(answers.error(401, `Incorrect API key provided: ${secret}`))
    await told('401', 'lab')
    upstream.next(answers.json({}).status(307).header('location', 'http://127.0.0.1:9/'))
    await told('redirect', 'lab')
    upstream.next(list('big').pieces(4).chunksOnly(2).thenStall())
    await told('never ends', 'lab')
    const before = upstream.requests.length
    await told('private', 'inner')
    expect(upstream.requests.length).toBe(before)
    expect(found).toEqual({
      '401': 'It refused the credential (401).',
      redirect: 'It redirects (307), which is not followed. Is its base URL right?',
      'never ends': 'It did not answer within 10 s.',
      private: expect.stringContaining('private address'),
    })
  })

  it('says so where the gateways that may call do not have the key', async () => {
    const [own] = (
      await sluice.ask<{ tenant: { resources: { nodes: { name: string }[] } } }>(
        '{ tenant { resources(kinds: [DATA_PLANE]) { nodes { name } } } }',
      )
    ).tenant.resources.nodes.filter(({ name }) => name !== 'edge')
    const { code, out } = await sluice.command('provider', 'check', 'lab', '--plane', own!.name, '-o', 'json')
    expect([code, JSON.parse(out).detail]).toEqual([1, expect.stringContaining('environment variable is not set')])
  })

  it('is a note at the end of provider add, which it never fails', async () => {
    upstream.next(list('tiny'), list('tiny'))
    const url = `${upstream.url}/v1`
    const added = await sluice.command('provider', 'add', 'self-hosted', '--name', 'mine', '--url', url, '--yes')
    expect([added.code, added.err]).toEqual([
      0,
      expect.stringMatching(/Check: provider\/mine works .* lists 1 model\./),
    ])
    const silent = ['provider', 'add', 'self-hosted', '--name', 'dark', '--url', 'http://127.0.0.1:9/v1']
    const dark = await sluice.command(...silent, '--model', 'tiny', '--yes')
    expect([dark.code, dark.err]).toEqual([0, expect.stringContaining('Check: provider/dark does not work')])
    expect((await sluice.command(...silent, '--model', 'tiny', '--yes', '--no-check')).err).not.toContain('Check:')
  })

  it('is audited each time, and the key is in no answer, audit entry, log or file of the control plane', async () => {
    const { audit } = await sluice.ask<{ audit: { nodes: { action: string; targets: { name: string }[] }[] } }>(
      '{ audit(first: 100) { nodes { action targets { ref name changes { path before after } } } } }',
    )
    const checks = audit.nodes.filter(({ action }) => action === 'provider.check')
    expect(checks.length).toBeGreaterThanOrEqual(8)
    expect(checks.at(-1)!.targets.map(({ name }) => name)).toEqual(['lab', 'lab'])
    expect(JSON.stringify(audit)).not.toContain(secret)
    expect(edge.said()).not.toContain(secret)
    for (const file of filesIn(folder)) expect(readFileSync(file).includes(secret), file).toBe(false)
  })
})

function filesIn(path: string): string[] {
  return readdirSync(path, { recursive: true, encoding: 'utf8' })
    .map((name) => join(path, name))
    .filter((name) => statSync(name, { throwIfNoEntry: false })?.isFile())
}
