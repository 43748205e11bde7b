import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cleanEnvironment } from '../prove/parts/environment.ts'
import { pacedLine } from '../prove/parts/paced-line.ts'
import { freePorts, type Sluice, startSluice } from '../prove/parts/sluice.ts'

const root = join(import.meta.dirname, '../..')
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-start-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** A command as a process of its own; `said` is what it wrote to stderr so far. */
function run(name: string, command: string, env: Record<string, string>, flags: string[] = []) {
  const dataDir = join(folder, name)
  mkdirSync(dataDir, { recursive: true })
  const child = Bun.spawn([process.execPath, ...flags, 'cli/sluice.ts', command], {
    cwd: root,
    env: { ...cleanEnvironment(), SLUICE_DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said: string[] = []
  const heard = (async () => {
    const decoder = new TextDecoder()
    for await (const chunk of child.stderr) said.push(decoder.decode(chunk))
  })()
  return { child, said: () => said.join(''), ended: Promise.all([child.exited, heard]).then(([code]) => code) }
}

async function readiness(url: string): Promise<{ status: number; text: string } | undefined> {
  const answer = await fetch(`${url}/readyz`).catch(() => undefined)
  return answer && { status: answer.status, text: await answer.text() }
}

async function until(what: string, holds: () => Promise<boolean | undefined>): Promise<void> {
  for (let at = 0; at < 800; at++) {
    if (await holds()) return
    await Bun.sleep(25)
  }
  throw new Error(`waited in vain: ${what}`)
}

describe('a control plane whose database is not there yet', () => {
  it('is alive but not ready, says what it waits for, and stops when asked to', async () => {
    const [port, nobody] = await freePorts(2)
    const env = {
      SLUICE_PORT: String(port),
      SLUICE_DATABASE_URL: `postgres://sluice:secret@127.0.0.1:${nobody}/sluice`,
    }
    const control = run('waiting', 'control-plane', env)
    const url = `http://127.0.0.1:${port}`
    await until('an answer', async () => (await readiness(url))?.status === 503)
    expect((await readiness(url))!.text).toContain('The PostgreSQL server of SLUICE_DATABASE_URL does not answer')
    expect((await fetch(`${url}/healthz`)).status).toBe(200)
    expect((await fetch(`${url}/graphql`, { method: 'POST' })).status).toBe(503)
    control.child.kill('SIGTERM')
    expect(await control.ended).toBe(1)
    expect(control.said()).toContain('waits for its database')
    expect(control.said()).not.toContain('secret')
    expect(
      control
        .said()
        .split('\n')
        .filter((line) => line.includes('waits for its database')),
    ).toHaveLength(1)
  })
})

describe('a gateway whose control plane is not there yet', () => {
  let sluice: Sluice
  beforeAll(async () => {
    sluice = await startSluice(join(folder, 'all'))
  })
  afterAll(() => sluice?.stop())

  it('says so in its readiness, joins when it comes, and later serves without it', async () => {
    const line = await pacedLine(Number(new URL(sluice.running.graphql).port))
    await line.down()
    const { out } = await sluice.command('plane', 'enroll', 'early')
    const [gatewayPort, opsPort] = await freePorts(2)
    const env = {
      SLUICE_CONTROL_URL: `http://127.0.0.1:${line.port}`,
      SLUICE_GATEWAY_PORT: String(gatewayPort),
      SLUICE_OPS_PORT: String(opsPort),
    }
    const ops = `http://127.0.0.1:${opsPort}`
    const first = run('early', 'gateway', { ...env, SLUICE_PLANE_TOKEN: out.trim() })
    await until('its waiting', async () => (await readiness(ops))?.text.includes('could not be asked'))
    expect((await readiness(ops))!.status).toBe(503)
    await line.up()
    await until('its readiness', async () => (await readiness(ops))?.status === 200)
    first.child.kill('SIGTERM')
    expect(await first.ended).toBe(0)

    await line.down()
    const second = run('early', 'gateway', env)
    await until('its readiness', async () => (await readiness(ops))?.status === 200)
    const answer = await fetch(`http://127.0.0.1:${gatewayPort}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${sluice.running.applicationKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'echo', messages: [{ role: 'user', content: 'alone' }] }),
    })
    expect(answer.status).toBe(200)
    await answer.text()
    await line.up()
    second.child.kill('SIGTERM')
    expect(await second.ended).toBe(0)
    await line.down()
  })
})

describe('a process with a fault that nobody caught', () => {
  it('says one line of where it happened, without what was in its hands, and ends with code 1', async () => {
    const preload = join(folder, 'fault.ts')
    writeFileSync(
      preload,
      `const timer = setInterval(() => {
        if (process.listenerCount('unhandledRejection') === 0) return
        clearInterval(timer)
        Promise.reject(new Error('sk-in-a-message'))
      }, 20)\n`,
    )
    const [port, gatewayPort, opsPort] = await freePorts(3)
    const env = {
      SLUICE_PORT: String(port),
      SLUICE_GATEWAY_PORT: String(gatewayPort),
      SLUICE_OPS_PORT: String(opsPort),
    }
    for (const command of ['control-plane', 'gateway']) {
      const started = run('fault', command, { ...env, SLUICE_PLANE_TOKEN: 'sle_x' }, ['--preload', preload])
      expect(await started.ended).toBe(1)
      const lines = started
        .said()
        .split('\n')
        .filter((line) => line.includes('nobody caught'))
      expect(lines).toHaveLength(1)
      expect(JSON.parse(lines[0]!)).toMatchObject({
        level: 'error',
        fault: expect.stringMatching(/^Error at .*fault\.ts/),
      })
      expect(started.said()).not.toContain('sk-in-a-message')
    }
  })
})
