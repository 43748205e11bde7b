import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePorts, type Sluice, startSluice } from '../prove/parts/sluice.ts'

const root = join(import.meta.dirname, '../..')
let folder: string
let sluice: Sluice

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-apart-'))
  sluice = await startSluice(join(folder, 'data'))
})
afterAll(async () => {
  await sluice?.stop()
  rmSync(folder, { recursive: true })
})

/** A gateway as its own process, as it runs on another machine: it knows an address and a token. */
async function startGateway(dataDir: string, token: string | undefined) {
  const [gatewayPort, opsPort] = await freePorts(2)
  const env = {
    ...sluice.env,
    SLUICE_DATA_DIR: dataDir,
    SLUICE_CONTROL_URL: sluice.running.graphql.replace('/graphql', ''),
    SLUICE_GATEWAY_PORT: String(gatewayPort),
    SLUICE_OPS_PORT: String(opsPort),
    ...(token && { SLUICE_PLANE_TOKEN: token }),
  }
  const child = Bun.spawn([process.execPath, 'cli/sluice.ts', 'gateway'], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  return { child, url: `http://127.0.0.1:${gatewayPort}`, ops: `http://127.0.0.1:${opsPort}` }
}

const ask = (url: string) =>
  fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${sluice.running.applicationKey}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'echo', messages: [{ role: 'user', content: 'from afar' }] }),
  })

async function serves(url: string): Promise<Response> {
  for (let at = 0; at < 400; at++) {
    const answer = await ask(url).catch(() => undefined)
    if (answer?.status === 200) return answer
    await Bun.sleep(25)
  }
  throw new Error('the gateway does not serve')
}

describe('a gateway apart', () => {
  it('joins a fleet by the token that the CLI prints, serves, and its requests become spend', async () => {
    const { out } = await sluice.command('plane', 'enroll', 'edge')
    const gateway = await startGateway(join(folder, 'edge'), out.trim())
    await serves(gateway.url)
    const metrics = await (await fetch(`${gateway.ops}/metrics`)).text()
    for (const name of [
      'requests_total',
      'added_seconds',
      'upstream_seconds',
      'first_token_seconds',
      'record_backlog',
      'journal_lag_seconds',
      'snapshot_age_seconds',
      'snapshot_revision',
    ])
      expect(metrics).toContain(`sluice_${name}`)
    expect(metrics).toContain('nodejs_eventloop_lag')
    gateway.child.kill('SIGTERM')
    expect(await gateway.child.exited).toBe(0)
    const { spend } = await sluice.ask<{
      spend: { groups: { key: { value: string }[]; total: { amount: string } }[] }
    }>(
      `{ spend(window: { from: "2000-01-01T00:00:00Z" }, interval: TOTAL, groupBy: [DATA_PLANE]) { groups { key { value } total { amount } } } }`,
    )
    expect(spend.groups).toHaveLength(1)
  })

  it('needs its token only once, and none to start again', async () => {
    const gateway = await startGateway(join(folder, 'edge'), undefined)
    await serves(gateway.url)
    gateway.child.kill('SIGTERM')
    expect(await gateway.child.exited).toBe(0)
  })

  it('says in one sentence what is missing when it has neither token nor identity', async () => {
    const gateway = await startGateway(join(folder, 'nobody'), undefined)
    expect(await gateway.child.exited).toBe(1)
    expect(await new Response(gateway.child.stderr).text()).toContain('SLUICE_PLANE_TOKEN')
  })

  it('is refused with a token that is not one', async () => {
    const gateway = await startGateway(join(folder, 'forged'), 'sle_forged')
    expect(await gateway.child.exited).toBe(1)
  })
})
