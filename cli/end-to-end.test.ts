import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ControlPlane, startControlPlane } from '../control-plane/main.ts'
import { systemClock } from '../schema/clock.ts'
import { kindList, kinds } from '../schema/handles.ts'
import type { Io } from './io.ts'
import { main } from './main.ts'
import { testIo } from './test-io.ts'

/** The commands as people type them, against a real control plane on PGlite. */
const dataDir = mkdtempSync(join(tmpdir(), 'sluice-cli-'))
let plane: ControlPlane

beforeAll(async () => {
  const started = await startControlPlane({
    dataDir,
    databaseUrl: null,
    masterKey: 'a master key of at least thirty-two characters',
    host: '127.0.0.1',
    port: 0,
    privateHosts: ['127.0.0.1'],
    clock: systemClock,
    log: () => {},
  })
  if ('refused' in started) throw new Error(started.refused)
  plane = started
})

afterAll(async () => {
  await plane?.stop()
  rmSync(dataDir, { recursive: true })
})

interface Ran {
  code: number
  stdout: string
  stderr: string
}

async function sluice(argv: string[], given: Parameters<typeof testIo>[0] = {}): Promise<Ran> {
  const io = testIo({ ...given, env: { SLUICE_DATA_DIR: dataDir, ...given.env } })
  const code = await main(argv, io)
  return { code, stdout: io.stdout, stderr: io.stderr }
}

/** A command that has to go well. */
async function ok(argv: string[], given: Parameters<typeof testIo>[0] = {}): Promise<string> {
  const ran = await sluice(argv, given)
  expect(ran.stderr + ran.stdout, argv.join(' ')).not.toMatch(/^[A-Z_]+ .*\n {2}→/m)
  expect(ran.code, ran.stderr).toBe(0)
  return ran.stdout
}

function file(name: string, text: string): string {
  const path = join(dataDir, name)
  writeFileSync(path, text)
  return path
}

const terminal: Partial<Io> = { isStdinTty: true, isStdoutTty: true, isStderrTty: true }

const everything = `
kind: Team
name: core
labels: { owner: platform }
costCenter: "42"
members:
  - { principal: principal/ada, role: ADMIN }
---
kind: Principal
name: ada
principalKind: PERSON
identities: [{ issuer: "https://sso.example", subject: ada }]
---
kind: Project
name: checkout
team: team/core
owner: principal/ada
purpose: "Answers about orders: \\"where is it?\\""
riskClass: LIMITED
dataClass: CONFIDENTIAL
retention: { preset: CUSTOM, records: 400d, payloads: PT0S }
---
kind: Provider
name: onsite
platform: OPENAI_COMPATIBLE
baseUrl: http://127.0.0.1:8000/v1
selfHosted: true
headers: { x-team: core }
forwardHeaders: ["openai-*"]
---
kind: Provider
name: cloud
platform: OPENAI
baseUrl: https://api.openai.com/v1
---
kind: Credential
name: cloud
provider: provider/cloud
credentialKind: BEARER
source: FILE
locator: file:/run/secrets/cloud
---
kind: Model
name: onsite/tiny
provider: provider/onsite
upstreamName: tiny
contextTokens: 8192
bounds: { tokensPerImage: 900 }
capabilities: [CHAT, TOOLS]
maxDataClass: INTERNAL
---
kind: Model
name: cloud/big
provider: provider/cloud
upstreamName: big
---
kind: Alias
name: chat
route: route/main
deprecation: { since: 2026-01-01T00:00:00Z, use: alias/tiny }
---
kind: Alias
name: tiny
model: model/onsite/tiny
allowLossy: true
---
kind: Route
name: main
strategy: WEIGHTED
targets:
  - { model: model/onsite/tiny, weight: 3 }
  - { model: model/cloud/big, credential: credential/cloud }
retry: { attempts: 3, on: [TIMEOUT] }
breaker: { failures: 2, window: 1m, coolDown: 5s }
---
kind: Route
name: by-task
strategy: BY_TASK
stickyHeader: x-session-id
targets:
  - { model: model/cloud/big, when: { requestLabels: { case: a }, tools: true, language: [de, fr], minInputTokens: 0 } }
  - { model: model/onsite/tiny, weight: 1 }
---
kind: PriceSheet
name: cloud
effectiveFrom: 2026-01-01
unpricedCeiling: { amount: "1.50", currency: USD }
lines:
  - { model: model/cloud/big, meter: INPUT_TOKENS, amount: "0.150", per: 1000000 }
  - { model: model/cloud/big, meter: INPUT_TOKENS, amount: "0.3", per: 1000000, aboveInputTokens: 272000 }
---
kind: Tenant
name: default
labels: { stage: test }
maxStaleness: 12h
members:
  - { principal: principal/OWNER, role: OWNER }
  - { principal: principal/ada, role: AUDITOR }
requestLabels:
  - { key: case, from: [metadata.case], values: [a, b] }
  - { key: user, from: [user, safety_identifier], subject: true, maxValues: 50 }
---
kind: Tier
name: large
rank: 2
---
kind: Policy
name: stay-home
scope: project/checkout
order: 10
onFailure: OPEN
overridable: true
when: { requestLabels: { case: b }, model: [model/cloud/big], region: [eu-1], external: true, maxInputTokens: 9000 }
spec:
  routing: { allowTiers: [tier/large], denyModels: [model/onsite/tiny], regions: [eu-1] }
---
kind: Policy
name: case-b
scope: label/case=b
mode: OBSERVE
spec: { routing: { allowAliases: [alias/tiny] } }
---
kind: Budget
name: checkout
scope: project/checkout
per: API_KEY
limit: { amount: "100.50", currency: USD }
period: MONTH
timeZone: Europe/Berlin
onExhausted: DOWNGRADE
downgradeTo: tier/large
waitForFunds: 500ms
thresholds: [50, 90]
---
kind: RateLimit
name: few
scope: team/core
unit: CONCURRENT_REQUESTS
limit: 5
---
kind: Webhook
name: pager
url: https://hooks.example/sluice?team=core
events: [CONFIG_CHANGED, ALERT_RAISED]
paused: true
---
kind: AlertRule
name: fast
scope: team/core
on: BURN_RATE
threshold: "14.40"
severity: CRITICAL
webhooks: [webhook/pager]
`

describe('a new installation', () => {
  it('has no budget, which the doctor warns of', async () => {
    const findings = JSON.parse((await sluice(['doctor', '-o', 'json'])).stdout) as { check: string; detail: string }[]
    expect(findings.find(({ check }) => check === 'budget')?.detail).toContain('spending is unlimited')
    expect(await ok(['budget', 'list'])).toBe('There is no budget: spending is unlimited.\n')
  })
})

describe('files', () => {
  it('are refused with all their errors at once, each at its line, and nothing is written', async () => {
    const before = await ok(['dump'])
    const path = file(
      'bad.yaml',
      'kind: Project\nname: lost\nteam: team/nowhere\n---\nkind: Alias\nname: lost\nmodel: model/nowhere\n',
    )
    const ran = await sluice(['apply', '-f', path, '--yes'])
    expect(ran.code).toBe(3)
    expect(ran.stderr).toContain(`${path}:3: `)
    expect(ran.stderr).toContain(`${path}:7: `)
    expect((await sluice(['diff', '-f', path])).code).toBe(1)
    expect(await ok(['dump'])).toBe(before)
  })

  it('are applied as planned, and then are no change', async () => {
    const [, owner] = /principal: principal\/(.+)\n +role: OWNER/.exec(await ok(['dump', '--kind', 'Tenant']))!
    const path = file('all.yaml', everything.replace('OWNER', owner!))
    expect((await sluice(['diff', '-f', path])).code).toBe(2)
    expect(await ok(['apply', '-f', path, '--plan-only'])).toContain('+ route/main')
    expect((await sluice(['diff', '-f', path])).code).toBe(2)
    expect(await ok(['apply', '-f', path, '--yes', '--reason', 'a test'])).toContain('+ route/main')
    expect(await ok(['apply', '-f', path])).toMatch(/^No change/)
    expect((await sluice(['diff', '-f', path])).code).toBe(0)
  })

  it('dump to what applies as no change, for every kind', async () => {
    await ok([
      'key',
      'issue',
      'ci',
      '--project',
      'checkout',
      '--aliases',
      'tiny',
      '--request-labels',
      'case=a',
      '--addresses',
      '10.0.0.0/8',
      '--expires',
      '90d',
    ])
    await enroll('edge')
    const dumped = await ok(['dump'])
    expect(dumped).toMatch(/^# yaml-language-server: \$schema=\.\/sluice\.schema\.json\n/)
    for (const kind of kindList) expect(dumped).toContain(`kind: ${kinds[kind].type}\n`)
    expect(dumped).not.toMatch(/sl[ak]_/)
    const path = file('dump.yaml', dumped)
    expect(await ok(['apply', '-f', path])).toMatch(/^No change/)
    expect((await sluice(['diff', '-f', path])).code).toBe(0)
    const json = await ok(['dump', '-o', 'json'])
    expect(await ok(['apply', '-f', '-', '-o', 'name'], { stdin: json })).toBe('')
    const directory = join(dataDir, 'config')
    await ok(['dump', '--to', directory])
    expect(await ok(['apply', '-f', directory])).toMatch(/^No change/)
    expect(JSON.parse(readFileSync(join(directory, 'sluice.schema.json'), 'utf8')).title).toBe('Sluice configuration')
  })

  it('dump whole lists, however long', async () => {
    const people = Array.from({ length: 230 }, (_, at) => `kind: Principal\nname: p${at}\n`)
    const members = Array.from({ length: 230 }, (_, at) => `  - { principal: principal/p${at}, role: MEMBER }\n`)
    const path = file('many.yaml', `${people.join('---\n')}---\nkind: Team\nname: many\nmembers:\n${members.join('')}`)
    await ok(['apply', '-f', path, '--yes'])
    const dumped = await ok(['dump', '--kind', 'Team', '--kind', 'Principal'])
    expect(dumped.match(/principal: principal\/p\d+/g)).toHaveLength(230)
    expect(await ok(['apply', '-f', file('many-dump.yaml', dumped)])).toMatch(/^No change/)
  })

  it('show what they change, field by field', async () => {
    const path = file(
      'change.yaml',
      'kind: Team\nname: core\nlabels: { owner: platform }\ncostCenter: "43"\nmembers:\n  - { principal: principal/ada, role: ADMIN }\n',
    )
    const { stdout, code } = await sluice(['diff', '-f', path])
    expect(code).toBe(2)
    expect(stdout).toMatch(/~ team\/core\n {4}costCenter {2}"?42"? → "?43"?\n/)
    const json = JSON.parse((await sluice(['diff', '-f', path, '-o', 'json'])).stdout)
    expect(json.plan.changes).toMatchObject([{ action: 'UPDATE', ref: 'team/core' }])
  })

  it('are applied only by somebody who said yes', async () => {
    const path = file('asked.yaml', 'kind: Team\nname: asked\n')
    const nobody = await sluice(['apply', '-f', path])
    expect(nobody.code).toBe(1)
    expect(nobody.stderr).toContain('NOT_CONFIRMED')
    expect((await sluice(['apply', '-f', path], { ...terminal, confirm: async () => false })).code).toBe(3)
    expect((await sluice(['diff', '-f', path])).code).toBe(2)
    expect((await sluice(['apply', '-f', path], { ...terminal, confirm: async () => true })).code).toBe(0)
    expect((await sluice(['diff', '-f', path])).code).toBe(0)
  })

  it('are not applied where what they touch changed while the plan was looked at', async () => {
    const mine = file('mine.yaml', 'kind: Team\nname: asked\ncostCenter: "1"\n')
    const theirs = file('theirs.yaml', 'kind: Team\nname: asked\ncostCenter: "2"\n')
    const confirm = async () => {
      await ok(['apply', '-f', theirs, '--yes'])
      return true
    }
    const ran = await sluice(['apply', '-f', mine], { ...terminal, confirm })
    expect(ran.code).toBe(3)
    expect(ran.stderr).toMatch(/STALE_(REVISION|PLAN)/)
    expect((await sluice(['diff', '-f', theirs])).code).toBe(0)
  })

  it('prune what carries a label and is not among them', async () => {
    const both = 'kind: Team\nname: kept\nlabels: { by: ci }\n---\nkind: Team\nname: gone\nlabels: { by: ci }\n'
    await ok(['apply', '-f', file('both.yaml', both), '--yes'])
    const one = file('one.yaml', 'kind: Team\nname: kept\nlabels: { by: ci }\n')
    const { code, stdout } = await sluice(['diff', '-f', one, '--prune', 'by=ci', '-o', 'name'])
    expect([code, stdout]).toEqual([2, 'team/gone\n'])
    await ok(['apply', '-f', one, '--prune', 'by=ci', '--yes'])
    expect(await ok(['dump', '-o', 'name', '--label', 'by=ci'])).toBe('team/kept\n')
  })
})

describe('what was declared', () => {
  const revision = async () => JSON.parse(await ok(['diff', '-f', file('core.yaml', core), '-o', 'json'])).revision
  const core = 'kind: Team\nname: passing\ncostCenter: "1"\n'

  it('is archived, restored and reverted, each as planned', async () => {
    await ok(['apply', '-f', file('passing.yaml', core), '--yes'])
    const before = await revision()
    expect(await ok(['archive', 'team/passing', '--plan-only'])).toContain('- team/passing')
    await ok(['archive', 'team/passing', '--yes', '--reason', 'a test'])
    expect(await ok(['dump', '-o', 'name'])).not.toContain('team/passing')
    expect((await sluice(['archive', 'team/passing', '--yes'])).stderr).toContain('There is no team/passing.')
    expect(await ok(['restore', 'team/passing', '--yes'])).toContain('+ team/passing')
    await ok(['apply', '-f', file('later.yaml', core.replace('"1"', '"2"')), '--yes'])
    expect(await ok(['revert', String(before), '--plan-only'])).toMatch(/costCenter {2}2 → 1/)
    await ok(['revert', String(before), '--yes'])
    expect((await sluice(['diff', '-f', file('same.yaml', core)])).code).toBe(0)
    expect((await sluice(['revert', 'yesterday'])).stderr).toContain('is no number of a revision')
    expect((await sluice(['revert', '999999', '--yes'])).code).toBe(3)
  })
})

describe('providers', () => {
  it('are added in one line, and adding again is no change', async () => {
    const argv = ['provider', 'add', 'openai', '--key', 'env:OPENAI_API_KEY']
    const first = await sluice(argv, { env: { OPENAI_API_KEY: 'sk-secret' } })
    expect(first.code, first.stderr).toBe(0)
    expect(first.stdout).toContain('+ alias/gpt-4o-mini')
    expect(first.stdout + first.stderr).not.toContain('sk-secret')
    expect(await ok(argv, { env: { OPENAI_API_KEY: 'sk-secret' } })).toMatch(/^No change/)
    expect(await ok(['provider', 'list'])).toContain('env:OPENAI_API_KEY')
    expect(await ok(['apply', '-f', file('with-openai.yaml', await ok(['dump']))])).toMatch(/^No change/)
  })

  it('keep an alias that stands for something else', async () => {
    const ran = await sluice([
      'provider',
      'add',
      'self-hosted',
      '--url',
      'http://127.0.0.1:9',
      '--model',
      'gpt-4o-mini',
      '--yes',
    ])
    expect(ran.code, ran.stderr).toBe(0)
    expect(ran.stderr).toContain('alias/gpt-4o-mini stands for model/openai/gpt-4o-mini already')
  })

  it('are asked what they serve', async () => {
    const server = Bun.serve({ port: 0, fetch: () => Response.json({ data: [{ id: 'llama', max_model_len: 4096 }] }) })
    try {
      const url = `http://127.0.0.1:${server.port}`
      await ok(['provider', 'add', 'self-hosted', '--name', 'lab', '--url', url, '--wildcard', '--yes'])
      const dumped = await ok(['dump', '--kind', 'Model'])
      expect(dumped).toMatch(/name: lab\/llama\nprovider: provider\/lab\nupstreamName: llama\ncontextTokens: 4096/)
      expect(dumped).toContain('upstreamName: "*"')
    } finally {
      await server.stop(true)
    }
    const silent = await sluice(['provider', 'add', 'self-hosted', '--name', 'dark', '--url', 'http://127.0.0.1:9'])
    expect(silent.code).toBe(1)
    expect(silent.stderr).toContain('NO_MODELS')
  })

  it('have their key stored from stdin, never from an argument', async () => {
    const ran = await sluice(['provider', 'add', 'openai', '--name', 'second', '--key-stdin', '--model', 'o3'], {
      stdin: 'sk-stored-key\n',
    })
    expect(ran.code, ran.stderr).toBe(0)
    expect(ran.stderr).toMatch(/credential\/second: version 1 is stored, fingerprint [0-9a-f]{12}/)
    const set = await sluice(['credential', 'set', 'second'], { stdin: 'sk-newer-key' })
    expect(set.stderr).toContain('version 2')
    const fromEnv = await sluice(['credential', 'set', 'second', '--from', 'env:NEW_KEY'], {
      env: { NEW_KEY: 'sk-third' },
    })
    expect(fromEnv.stderr).toContain('version 3')
    expect((await sluice(['credential', 'set', 'second'], { stdin: '' })).code).toBe(1)
    const missing = await sluice(['credential', 'set', 'no-such'], { stdin: 'x' })
    expect([missing.code, missing.stderr]).toEqual([3, expect.stringContaining('NOT_FOUND')])
  })
})

describe('prices', () => {
  it('come from the catalogue, again without change, and with a date as a sheet of their own', async () => {
    expect(await ok(['price', 'import', '--provider', 'openai'])).toMatch(/^No change/)
    const dated = await ok(['price', 'import', '--provider', 'openai', '--effective-from', '2099-01-01', '--yes'])
    expect(dated).toContain('+ price-sheet/openai-2099-01-01')
    const list = await ok(['price', 'list', '--model', 'openai/gpt-4o-mini'])
    expect(list).toMatch(/openai\/gpt-4o-mini +input tokens +0\.15 +per million/)
    expect(await ok(['price', 'list', '--model', 'onsite/tiny'])).toContain('self-hosted')
  })

  it('are not there for a provider that the catalogue does not know', async () => {
    const ran = await sluice(['price', 'import', '--provider', 'onsite'])
    expect([ran.code, ran.stderr]).toEqual([1, expect.stringContaining('NO_MODELS')])
  })
})

describe('keys', () => {
  it('are issued once, with the secret alone on stdout', async () => {
    const secret = await ok(['key', 'issue', 'app', '--project', 'checkout'])
    expect(secret).toMatch(/^slk_[\w-]{40}\n$/)
    const json = JSON.parse(await ok(['key', 'issue', 'app2', '--project', 'project/checkout', '-o', 'json']))
    expect(json).toMatchObject({ apiKey: { handle: 'api-key/app2', state: 'ACTIVE' }, replayed: false })
    expect(json.secret).toMatch(/^slk_/)
    const list = await ok(['key', 'list'])
    expect(list).toContain(secret.slice(0, 10))
    expect(list).not.toContain(secret.trim())
  })

  it('are rotated and revoked', async () => {
    expect(await ok(['key', 'rotate', 'app', '--overlap', '10m'])).toMatch(/^slk_/)
    expect(await ok(['key', 'revoke', 'app', '--reason', 'a test'])).toBe('api-key/app is revoked.\n')
    expect(await ok(['key', 'list', '-o', 'name'])).not.toContain('api-key/app\n')
    expect(await ok(['key', 'list', '-o', 'name', '--all'])).toContain('api-key/app\n')
  })

  it('work as admin tokens, within what they may do, and are refused beyond it with exit 3', async () => {
    const token = (await ok(['key', 'issue', 'reader', '--kind', 'admin', '--permissions', 'config:read'])).trim()
    const env = { SLUICE_ADMIN_TOKEN: token }
    expect((await sluice(['dump', '--kind', 'Team'], { env })).code).toBe(0)
    const ran = await sluice(['key', 'revoke', 'app2', '--reason', 'x'], { env })
    expect([ran.code, ran.stderr]).toEqual([3, expect.stringContaining('NOT_PERMITTED')])
    const wrong = await sluice(['dump'], { env: { SLUICE_ADMIN_TOKEN: 'sla_wrong' } })
    expect(wrong.code).toBe(3)
    expect(wrong.stderr).toMatch(/UNAUTHENTICATED .*\(request cor_/)
  })
})

describe('webhooks and alerts', () => {
  it('are signed with a secret that is shown once, and tried by a test', async () => {
    const got: Headers[] = []
    const receiver = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      fetch({ headers }) {
        got.push(headers)
        return new Response(null, { status: 204 })
      },
    })
    const hook = file('hook.yaml', `kind: Webhook\nname: tried\nurl: ${receiver.url}\n`)
    await ok(['apply', '-f', hook, '--yes'])
    const early = await sluice(['webhook', 'test', 'tried'])
    expect([early.code, early.stderr]).toEqual([3, expect.stringContaining('webhookSecretRotate')])
    const secret = await ok(['webhook', 'secret', 'tried'])
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=\n$/)
    const tested = JSON.parse(await ok(['webhook', 'test', 'webhook/tried', '-o', 'json']))
    expect(tested).toMatchObject({ delivered: true, status: 204, attempts: 1, fault: null })
    expect(got.map((headers) => headers.get('webhook-id'))).toEqual([tested.id])
    expect(await ok(['webhook', 'test', 'tried', '--event', 'CONFIG_CHANGED'])).toBe('webhook/tried took it: 204.\n')
    await receiver.stop(true)
    const failing = await sluice(['webhook', 'test', 'tried'])
    expect([failing.code, failing.stdout]).toEqual([1, expect.stringContaining('NO_ANSWER')])
  })

  it('are listed, also where there are none', async () => {
    expect(JSON.parse(await ok(['alert', 'list', '--all', '-o', 'json']))).toEqual([])
    await ok(['alert', 'list'])
  })
})

describe('acting in another tenant', () => {
  let theirs: string
  beforeAll(async () => {
    const create = 'mutation ($input: TenantCreateInput!) { tenantCreate(input: $input) { adminToken } }'
    const answer = await asked(create, { idempotencyKey: crypto.randomUUID(), name: 'acme' })
    theirs = answer.data.tenantCreate.adminToken
  })

  it('is an option of each command, or a variable for all', async () => {
    const team = file('acme.yaml', 'kind: Team\nname: helped\n')
    await ok(['apply', '-f', team, '--yes', '--tenant', 'acme'])
    expect(await ok(['dump', '--kind', 'Team'], { env: { SLUICE_ADMIN_TOKEN: theirs } })).toContain('helped')
    expect(await ok(['dump', '--kind', 'Team'], { env: { SLUICE_TENANT: 'acme' } })).toContain('helped')
    expect(await ok(['dump', '--kind', 'Team'])).not.toContain('helped')
    const link = await ok(['dashboard', '--tenant', 'acme'])
    expect(link.startsWith(`${plane.url}/?ticket=`)).toBe(true)
  })

  it('is refused with exit 3 to who may not, by every way, and never done at home instead', async () => {
    const env = { SLUICE_ADMIN_TOKEN: theirs, SLUICE_TENANT: 'default' }
    for (const command of [['dump'], ['tail'], ['key', 'list'], ['dashboard']]) {
      const { code, stderr } = await sluice(command, { env })
      expect([code, stderr], command.join(' ')).toEqual([3, expect.stringMatching(/^UNKNOWN_TENANT There is no such/)])
    }
    expect(await sluice(['dump', '--tenant', ''])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('is empty'),
    })
    const odd = await sluice(['dump'], { env: { SLUICE_TENANT: 'two words' } })
    expect([odd.code, odd.stderr]).toEqual([1, expect.stringContaining('SLUICE_TENANT is the name or id of a tenant')])
  })
})

describe('budgets', () => {
  const declared = `
kind: Budget
name: monthly
scope: project/checkout
limit: { amount: "100", currency: USD }
period: MONTH
---
kind: Budget
name: each-key
scope: project/checkout
per: API_KEY
limit: { amount: "5", currency: USD }
period: DAY
onExhausted: WARN
`
  const adjust = (name: string, amount: string, ...more: string[]) => [
    'budget',
    'adjust',
    name,
    amount,
    '--reason',
    'a test',
    ...more,
  ]

  it('are shown with a bar for each counter, and say where nothing was spent', async () => {
    await ok(['apply', '-f', file('budgets.yaml', declared), '--yes'])
    const list = await ok(['budget', 'list'])
    expect(list).toMatch(/^monthly +░+ +0\.00 of +100\.00 USD +0 % +until 20/m)
    expect(list).toMatch(/^each-key +5 USD per api key; nothing was spent yet$/m)
    expect(await ok(['budget', 'list', '-o', 'name'])).toMatch(/^budget\/monthly$/m)
  })

  it('are adjusted up and down, once for each command, with a reason that shows', async () => {
    expect(await ok(adjust('monthly', '+50.5'))).toContain('budget/monthly +50.5 USD')
    expect(await ok(adjust('monthly', '-20', '--expires', '2d'))).toMatch(/= available +130\.5 USD/)
    const subject = ['--subject', 'api-key/app2']
    const json = JSON.parse(await ok(adjust('each-key', '+1', ...subject, '-o', 'json')))
    expect(json).toMatchObject({ balance: { available: { amount: '6' }, resource: { handle: 'api-key/app2' } } })
    const shown = await ok(['budget', 'show', 'monthly'])
    expect(shown).toMatch(/\+50\.5 .*a test/)
    expect(shown).toMatch(/-20 .*a test/)
    expect(await ok(['budget', 'show', 'each-key', ...subject])).toContain('api-key/app2')
    expect(await ok(['budget', 'leases', 'monthly'])).toBe('No gateway holds money of it.\n')
  })

  it('are not adjusted by nonsense, and say what would do', async () => {
    for (const [argv, what] of [
      [adjust('nowhere', '+5'), 'There is no budget/nowhere'],
      [adjust('each-key', '+5'), 'is needed: budget/each-key counts per API_KEY'],
      [adjust('monthly', '+5', '--subject', 'api-key/app2'), 'has one counter'],
      [adjust('monthly', '+5', '--expires', '2020-01-01'), 'is in the past'],
      [adjust('monthly', '0'), 'is no amount'],
      [['budget', 'show', 'nowhere'], 'There is no budget "nowhere"'],
      [['budget', 'show', 'each-key', '--subject', 'api-key/nobody'], 'counts no'],
      [['budget', 'write-off', 'ins_nowhere', '--reason', 'a test', '--yes'], 'There is no ins_nowhere'],
      [['budget', 'write-off', 'ins_nowhere', '--reason', 'a test'], 'Nobody can be asked here'],
    ] as const) {
      const { code, stderr } = await sluice([...argv])
      expect(code, argv.join(' ')).not.toBe(0)
      expect(stderr).toContain(what)
    }
  })

  it('are followed live, line by line or as JSON, until so many changes or so long', async () => {
    const watching = ok(['budget', 'watch', 'monthly', '--count', '1', '-o', 'json'])
    await new Promise((resolve) => setTimeout(resolve, 1_500))
    await ok(adjust('monthly', '+1'))
    expect(JSON.parse(await watching)).toMatchObject({
      budget: 'budget/monthly',
      balance: { available: { amount: '131.5' } },
    })
    expect(await ok(['budget', 'watch', '--for', '300ms'])).toContain('monthly')
  })

  it('of a provider are compared with its export: exit 2 where they differ', async () => {
    const bill = file('bill.csv', 'date,model,cost\n2026-01-01,nobody-1,0.5\n2026-01-02,nobody-1,0\n')
    const { code, stdout, stderr } = await sluice(['spend', 'reconcile', '--file', bill, '--provider', 'cloud'])
    expect([code, stdout]).toEqual([2, expect.stringContaining('only in the invoice')])
    expect(stderr).toContain('--map')
    const none = await sluice(['spend', 'reconcile', '--file', bill, '--from', '2026-01-02', '-o', 'json'])
    expect([none.code, JSON.parse(none.stdout).different]).toEqual([0, 0])
  })
})

describe('looking', () => {
  it('shows what was spent, also where nothing was', async () => {
    expect(await ok(['spend', '--by', 'project,label:case', '--since', '1h', '--interval', 'minute'])).toMatch(
      /total 0 USD/,
    )
    expect(JSON.parse(await ok(['spend', '-o', 'json']))).toMatchObject({ currency: 'USD', total: { amount: '0' } })
  })

  it('links to the dashboard, once', async () => {
    const link = (await ok(['dashboard'])).trim()
    expect(link.startsWith(`${plane.url}/?ticket=`)).toBe(true)
    const opened = await fetch(link, { redirect: 'manual' })
    expect([opened.status, opened.headers.get('location')]).toEqual([303, '/'])
    expect((await fetch(link, { redirect: 'manual' })).headers.get('location')).toBe('/?link=used')
  })

  it('doctor finds the control plane well and says what is missing', async () => {
    const env = { SLUICE_OPS_PORT: '9', SLUICE_GATEWAY_PORT: '9', SLUICE_PROT: '1' }
    const { code, stdout } = await sluice(['doctor', '-o', 'json'], { env })
    const findings = JSON.parse(stdout) as { check: string; state: string; wayOut?: string }[]
    const stateOf = (check: string) => findings.find((finding) => finding.check === check)?.state
    expect(code).toBe(0)
    expect([stateOf('control plane'), stateOf('token'), stateOf('clock'), stateOf('admin token')]).toEqual([
      'ok',
      'ok',
      'ok',
      'ok',
    ])
    expect([stateOf('settings'), stateOf('gateway'), stateOf('budget')]).toEqual(['warn', 'warn', 'ok'])
    expect(findings.filter(({ state, wayOut }) => state !== 'ok' && !wayOut)).toEqual([])
  })

  it('tail ends when it is interrupted', async () => {
    const interrupt = new AbortController()
    setTimeout(() => interrupt.abort(), 300)
    expect(await ok(['tail'], { signal: interrupt.signal })).toBe('')
  })
})

/** There is no command for it yet: data planes are enrolled by `up`. */
async function enroll(name: string): Promise<void> {
  const query = 'mutation ($input: DataPlaneEnrollInput!) { dataPlaneEnroll(input: $input) { errors { message } } }'
  const input = { idempotencyKey: crypto.randomUUID(), name, adapter: 'STANDALONE' }
  expect(await asked(query, input)).toMatchObject({ data: { dataPlaneEnroll: { errors: [] } } })
}

/** What no command asks yet, as the first administrator. */
async function asked(query: string, input: object) {
  const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim()
  const answer = await fetch(`${plane.url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables: { input } }),
  })
  // biome-ignore lint/suspicious/noExplicitAny: an answer's shape is what its test asserts.
  return answer.json() as Promise<{ data: any }>
}
