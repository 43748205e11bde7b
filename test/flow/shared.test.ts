import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { freePorts, type Sluice, startSluice } from '../prove/parts/sluice.ts'

const root = join(import.meta.dirname, '../..')
let folder: string
let sluice: Sluice
let gateway: Awaited<ReturnType<typeof startGateway>>
/** The operator's tenant, and the one it makes: each with its admin token and an application's key. */
const tokens = { own: '', beta: '' }
const keys = { own: '', beta: '' }
type Tenant = keyof typeof tokens

/** The API as a tenant's own administrator. */
async function ask<T>(tenant: Tenant, query: string, variables: object = {}): Promise<T> {
  const answer = await fetch(sluice.running.graphql, {
    method: 'POST',
    headers: { authorization: `Bearer ${tokens[tenant]}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = (await answer.json()) as { data: T; errors?: unknown }
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}

async function command(tenant: Tenant, ...args: string[]): Promise<string> {
  const controlUrl = sluice.running.graphql.replace('/graphql', '')
  const child = Bun.spawn([process.execPath, 'cli/sluice.ts', ...args], {
    cwd: root,
    env: { ...sluice.env, SLUICE_CONTROL_URL: controlUrl, SLUICE_ADMIN_TOKEN: tokens[tenant] },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [out, err] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(`sluice ${args.join(' ')}: ${err}`)
  return out.trim()
}

async function startGateway(token: string) {
  const [gatewayPort, opsPort] = await freePorts(2)
  const child = Bun.spawn([process.execPath, 'cli/sluice.ts', 'gateway'], {
    cwd: root,
    env: {
      ...sluice.env,
      SLUICE_DATA_DIR: join(folder, 'shared'),
      SLUICE_CONTROL_URL: sluice.running.graphql.replace('/graphql', ''),
      SLUICE_GATEWAY_PORT: String(gatewayPort),
      SLUICE_OPS_PORT: String(opsPort),
      SLUICE_PLANE_TOKEN: token,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  return { child, url: `http://127.0.0.1:${gatewayPort}` }
}

async function chat(key: string): Promise<{ status: number; id: string | null }> {
  const answer = await fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'echo', messages: [{ role: 'user', content: 'from a tenant' }] }),
  })
  await answer.text()
  return { status: answer.status, id: answer.headers.get('x-sluice-request-id') }
}

async function until<T>(what: string, find: () => Promise<T | undefined | false>): Promise<T> {
  for (let at = 0; at < 600; at++) {
    const found = await find().catch(() => undefined)
    if (found) return found
    await Bun.sleep(25)
  }
  throw new Error(`waited in vain: ${what}`)
}

const answers = (key: string, status: number) =>
  until(`an answer ${status}`, async () => (await chat(key)).status === status)

interface RecordNode {
  id: string
  dataPlane: { name: string }
}
const recordsOf = async (tenant: Tenant) =>
  (
    await ask<{ flightRecords: { nodes: RecordNode[] } }>(
      tenant,
      '{ flightRecords(first: 100) { nodes { id dataPlane { name } } } }',
    )
  ).flightRecords.nodes

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-shared-'))
  sluice = await startSluice(join(folder, 'data'))
  tokens.own = sluice.running.adminToken
  keys.own = sluice.running.applicationKey
  const made = await ask<{ tenantCreate: { adminToken: string } }>(
    'own',
    `mutation { tenantCreate(input: { idempotencyKey: "beta", name: "beta" }) { adminToken } }`,
  )
  tokens.beta = made.tenantCreate.adminToken
  const declared = await ask<{ apply: { errors: unknown[] } }>(
    'beta',
    'mutation ($input: ApplyInput!) { apply(input: $input) { errors { message } } }',
    {
      input: {
        ifRevision: (await ask<{ tenant: { configRevision: number } }>('beta', '{ tenant { configRevision } }')).tenant
          .configRevision,
        dryRun: false,
        resources: [
          { team: { name: 'crew' } },
          { project: { name: 'shop', team: 'team/crew', purpose: 'To share a gateway' } },
          { provider: { name: 'echo', platform: 'ECHO', selfHosted: true } },
          { model: { name: 'echo', provider: 'provider/echo', upstreamName: 'echo' } },
          { alias: { name: 'echo', model: 'model/echo' } },
        ],
      },
    },
  )
  expect(declared.apply.errors).toEqual([])
  keys.beta = await command('beta', 'key', 'issue', 'app', '--project', 'shop')
  gateway = await startGateway(await command('own', 'plane', 'enroll', 'shared', '--also', 'beta'))
  await answers(keys.own, 200)
  await answers(keys.beta, 200)
})

afterAll(async () => {
  gateway?.child.kill('SIGTERM')
  await gateway?.child.exited
  await sluice?.stop()
  rmSync(folder, { recursive: true })
})

describe('one gateway that serves two tenants', () => {
  it("records each tenant's requests in that tenant's log, and in no other", async () => {
    const [own, beta] = [await chat(keys.own), await chat(keys.beta)]
    for (const [tenant, mine, other] of [
      ['own', own, beta],
      ['beta', beta, own],
    ] as const) {
      const records = await until(`the record of ${tenant}`, async () => {
        const found = await recordsOf(tenant)
        return found.some(({ id }) => id === mine.id) && found
      })
      expect(records.map(({ id }) => id)).not.toContain(other.id)
      expect(records.find(({ id }) => id === mine.id)!.dataPlane.name).toBe('shared')
    }
  })

  it('is one fleet with one instance in both, and the joining stands in both logs', async () => {
    const fleet = '{ resource(ref: "data-plane/shared") { ... on DataPlane { id state instances { nodes { id } } } } }'
    const [own, beta] = await Promise.all([
      until('its state', async () => current(await ask<Fleet>('own', fleet))),
      until('its state', async () => current(await ask<Fleet>('beta', fleet))),
    ])
    expect(beta).toEqual(own)
    for (const tenant of ['own', 'beta'] as const) {
      const { audit } = await ask<{ audit: { nodes: { action: string }[] } }>(
        tenant,
        '{ audit(filter: { action: ["dataPlane.join", "dataPlane.enroll"] }) { nodes { action } } }',
      )
      expect(new Set(audit.nodes.map(({ action }) => action))).toEqual(new Set(['dataPlane.join', 'dataPlane.enroll']))
    }
  })

  it('revokes a key of one and leaves the other alone', async () => {
    const second = await command('own', 'key', 'issue', 'second', '--project', 'default')
    await answers(second, 200)
    await command('own', 'key', 'revoke', 'second', '--reason', 'test')
    await answers(second, 401)
    expect((await chat(keys.own)).status).toBe(200)
    expect((await chat(keys.beta)).status).toBe(200)
  })

  it('lets go of a tenant that archives it, and goes on for the other', async () => {
    const { tenant } = await ask<{ tenant: { configRevision: number } }>('beta', '{ tenant { configRevision } }')
    const archived = await ask<{ archive: { errors: unknown[] } }>(
      'beta',
      'mutation ($input: ArchiveInput!) { archive(input: $input) { errors { message } } }',
      { input: { refs: ['data-plane/shared'], ifRevision: tenant.configRevision, dryRun: false } },
    )
    expect(archived.archive.errors).toEqual([])
    await answers(keys.beta, 401)
    expect((await chat(keys.own)).status).toBe(200)
    await expect(command('own', 'plane', 'enroll', 'shared', '--also', 'beta')).rejects.toThrow('has archived')
  })

  it('may only be shared by an operator of the installation', async () => {
    await expect(command('beta', 'plane', 'enroll', 'grab', '--also', 'default')).rejects.toThrow(
      'installation:tenants',
    )
    await expect(command('own', 'plane', 'enroll', 'grab', '--also', 'nobody')).rejects.toThrow('There is no nobody')
  })
})

interface Fleet {
  resource: { id: string; state: string; instances: { nodes: { id: string }[] } }
}
const current = ({ resource }: Fleet) => resource.state === 'CURRENT' && resource
