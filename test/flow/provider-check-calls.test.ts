import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { providerChecker } from '../../adapters/ports/provider-check/checker.ts'
import { buildRunning } from '../../data-plane/snapshot/build.ts'
import { Freshness, KeyOverlay, runningSet, runningTenant } from '../../data-plane/snapshot/running-set.ts'
import { mintId } from '../../schema/ids.ts'
import type { SnapshotConfig } from '../../schema/snapshot.ts'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'

let upstream: ScriptedUpstream
beforeAll(async () => {
  upstream = await scriptedUpstream()
})
afterAll(() => upstream.stop())
beforeEach(() => upstream.reset())

const secret = 'sk-never-to-be-seen'
const tenant = mintId('tenant')
const list = (...ids: string[]) => answers.json({ object: 'list', data: ids.map((id) => ({ id, object: 'model' })) })

interface Setup {
  provider?: Partial<SnapshotConfig['providers'][number]>
  kind?: SnapshotConfig['credentials'][number]['kind']
  secret?: string
  privateHosts?: string[]
  timeoutMs?: number
  revision?: number
  closing?: AbortSignal
}

/** One check by a gateway that runs revision 7 with one provider. */
function check(setup: Setup = {}) {
  return checkerOf(setup)(
    {
      ...{ id: 'one', tenant, provider: 'prv_1', credential: setup.kind === 'NONE' ? null : 'crd_1' },
      ...{ revision: setup.revision ?? 7, timeoutMs: setup.timeoutMs ?? 10_000 },
    },
    setup.closing ?? new AbortController().signal,
  )
}

function checkerOf(setup: Setup) {
  const overlay = new KeyOverlay()
  const freshness = new Freshness(Date.now(), () => performance.now())
  const set = runningSet([{ tenant: runningTenant(snapshotOf(setup), overlay, freshness), overlay }])
  return providerChecker({
    snapshots: { current: () => set, onSwap: () => () => undefined },
    secrets: { secretOf: () => ({ expose: () => setup.secret ?? secret, fingerprint: 'f' }) },
    privateHosts: setup.privateHosts ?? ['127.0.0.1'],
  })
}

function snapshotOf({ provider, kind }: Setup) {
  const config: SnapshotConfig = {
    schemaVersion: 1,
    tenant: { id: tenant, name: 'acme', currency: 'USD', maxStalenessMs: 86_400_000 },
    revision: 7,
    providers: [
      {
        ...{ id: 'prv_1', name: 'scripted', platform: 'OPENAI_COMPATIBLE', codecs: ['OPENAI_CHAT'] },
        ...{ baseUrl: `${upstream.url}/v1`, region: null, apiVersion: null, selfHosted: false },
        ...{ headers: { 'x-team': 'core' }, forwardHeaders: [], proxy: null, caBundle: null },
        ...provider,
      },
    ],
    credentials: [{ id: 'crd_1', provider: 0, kind: kind ?? 'API_KEY', source: 'STORED', locator: null, version: 1 }],
    ...{ grants: [], aliases: [], routes: [], models: [], priceSheets: [], tiers: [] },
    ...{ requestLabels: [], policies: [], budgets: [], rateLimits: [] },
  }
  const built = buildRunning({
    ...{ tenant, revision: 7, deltaNumber: 0, sequence: 1, configDigest: 'd'.repeat(64) },
    ...{ config: Buffer.from(JSON.stringify(config)), shards: new Map() },
  })
  if ('unreadable' in built) throw new Error(built.unreadable)
  return built
}

describe('the one call', () => {
  it('is a GET with the provider’s headers and the credential, and tells the models that are listed', async () => {
    upstream.next(list('gpt-5', 'gpt-5-mini', 'gpt-5'))
    const found = await check()
    expect(found).toEqual({
      ok: true,
      status: 200,
      latencyMs: expect.any(Number),
      detail: null,
      models: ['gpt-5', 'gpt-5-mini'],
    })
    const [request] = upstream.requests
    expect([request!.method, request!.path, request!.body.length]).toEqual(['GET', '/v1/models', 0])
    expect(request!.headers.authorization).toBe(`Bearer ${secret}`)
    expect(request!.headers['x-team']).toBe('core')
    expect(upstream.requests).toHaveLength(1)
  })

  const forms: [string, Setup, object, [string, ...string[]], string[]][] = [
    [
      'Anthropic',
      { provider: { platform: 'ANTHROPIC' } },
      { data: [{ type: 'model', id: 'claude-opus' }], has_more: false },
      ['/v1/models?limit=1000', 'x-api-key', 'anthropic-version'],
      ['claude-opus'],
    ],
    [
      'Gemini',
      { provider: { platform: 'GOOGLE_AI' } },
      { models: [{ name: 'models/gemini-pro', displayName: 'Gemini' }] },
      ['/v1/models?pageSize=1000', 'x-goog-api-key'],
      ['gemini-pro'],
    ],
    [
      'Azure, dated',
      { provider: { platform: 'AZURE_OPENAI', apiVersion: '2024-10-21' } },
      { data: [{ id: 'gpt-4o' }] },
      ['/v1/models?api-version=2024-10-21', 'api-key'],
      ['gpt-4o'],
    ],
    [
      'Bedrock, signed',
      { provider: { platform: 'AWS_BEDROCK', region: 'eu-central-1' }, kind: 'AWS_KEYS', secret: 'AKIDEXAMPLE:hidden' },
      { modelSummaries: [{ modelArn: 'arn', modelId: 'amazon.nova' }] },
      ['/v1/foundation-models', 'authorization', 'x-amz-date'],
      ['amazon.nova'],
    ],
    ['a server that answers a bare list', {}, [{ id: 'tiny' }], ['/v1/models', 'authorization'], ['tiny']],
  ]
  it.each(forms)('speaks as %s does', async (_, setup, body, [path, ...headers], models) => {
    upstream.next(answers.json(body))
    expect(await check(setup)).toMatchObject({ ok: true, models })
    const [request] = upstream.requests
    expect([request!.method, request!.path]).toEqual(['GET', path])
    for (const header of headers) expect(request!.headers[header], header).toBeTruthy()
    expect(JSON.stringify(request!.headers)).not.toContain('hidden')
  })

  it('asks Vertex for its location, since models are not listed there', async () => {
    upstream.next(answers.json({ name: 'projects/p/locations/eu' }))
    const baseUrl = `${upstream.url}/v1/projects/p/locations/eu/publishers/google`
    const found = await check({ provider: { platform: 'GOOGLE_VERTEX', baseUrl } })
    expect(found).toMatchObject({ ok: true, models: [], detail: expect.stringContaining('no list') })
    expect(upstream.requests[0]!.path).toBe('/v1/projects/p/locations/eu')
  })

  it('is not made to the built-in echo', async () => {
    expect(await check({ provider: { platform: 'ECHO', baseUrl: null } })).toMatchObject({ ok: true, models: ['echo'] })
  })

  it('tells at most a thousand models, and says where there are more', async () => {
    upstream.next(list(...Array.from({ length: 1500 }, (_, at) => `m${at}`)))
    const found = await check()
    expect([found.ok, found.models.length, found.detail]).toEqual([
      true,
      1000,
      expect.stringContaining('more than 1000'),
    ])
  })
})

describe('what goes wrong is one sentence', () => {
  it.each([
    [401, 'refused the credential'],
    [403, 'refused the credential, or'],
    [404, 'no list of models'],
    [429, 'limiting'],
    [503, 'failing'],
  ])('for %i', async (status, sentence) => {
    upstream.next(answers.error(status, `Incorrect API key provided: ${secret}`))
    const found = await check()
    expect(found).toMatchObject({ ok: false, status, models: [], detail: expect.stringContaining(sentence) })
    expect(JSON.stringify(found)).not.toContain(secret)
  })

  it('where a credential is wanted and none declared', async () => {
    upstream.next(answers.error(401, 'who are you'))
    expect((await check({ kind: 'NONE' })).detail).toContain('none is declared')
  })

  it('for a redirect, which is not followed', async () => {
    upstream.next(answers.json({}).status(302).header('location', `${upstream.url}/elsewhere`))
    expect(await check()).toMatchObject({ ok: false, status: 302, detail: expect.stringContaining('redirects') })
    expect(upstream.requests).toHaveLength(1)
  })

  it('for an answer that never ends, that never begins, that breaks off, or that is no list', async () => {
    const late = { ok: false, models: [], detail: 'It did not answer within 0.3 s.' }
    upstream.next(list('a', 'b').pieces(5).chunksOnly(3).thenStall())
    expect(await check({ timeoutMs: 300 })).toMatchObject(late)
    upstream.next(list('a').headDelayMs(60_000))
    expect(await check({ timeoutMs: 300 })).toMatchObject(late)
    upstream.next(list('a', 'b').pieces(5).chunksOnly(2).thenBreak())
    expect((await check()).detail).toContain('broke off')
    upstream.next(answers.json({ hello: 'world' }))
    expect((await check()).detail).toContain('no list of models')
    upstream.next(list(...Array.from({ length: 60 }, () => 'x'.repeat(100_000))))
    expect((await check()).detail).toContain('larger than')
  })

  it('for a private address, a name that is not there, a port where nothing is', async () => {
    const barred = await check({ privateHosts: [] })
    expect(barred).toMatchObject({ ok: false, status: null, detail: expect.stringContaining('private address') })
    expect(upstream.requests).toHaveLength(0)
    const nowhere = await check({ provider: { baseUrl: 'http://nothing.invalid/v1', selfHosted: true } })
    expect(nowhere.detail).toBe('The name nothing.invalid is not found.')
    const closed = await check({ provider: { baseUrl: 'http://127.0.0.1:9/v1' } })
    expect(closed.detail).toMatch(/^Nothing answers at 127\.0\.0\.1:9 /)
  })

  it('for a certificate that nobody here trusts, unless its CA is declared', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'sluice-check-tls-'))
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')]
    const made = Bun.spawnSync(
      ['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
        .concat(['-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1'])
        .concat(['-keyout', key, '-out', cert]),
    )
    expect(made.exitCode).toBe(0)
    const tls = { cert: readFileSync(cert, 'utf8'), key: readFileSync(key, 'utf8') }
    const fetch = () => Response.json({ data: [{ id: 'sealed' }] })
    const secure = Bun.serve({ hostname: '127.0.0.1', port: 0, tls, fetch })
    const baseUrl = `https://127.0.0.1:${secure.port}/v1`
    expect((await check({ provider: { baseUrl } })).detail).toContain('TLS certificate is not trusted')
    const trusting = await check({ provider: { baseUrl, caBundle: `file:${cert}` } })
    expect([trusting.ok, trusting.models]).toEqual([true, ['sealed']])
    await secure.stop(true)
    rmSync(folder, { recursive: true })
  })

  it('for a way out that cannot be read here, and a revision that is not there yet', async () => {
    expect((await check({ provider: { proxy: 'env:SLUICE_TEST_NO_SUCH_PROXY' } })).detail).toContain('proxy')
    expect((await check({ revision: 8, closing: AbortSignal.timeout(50) })).detail).toContain(
      'does not run revision 8 yet',
    )
  })

  it('for more checks at once than a gateway makes', async () => {
    upstream.otherwise(list('a').headDelayMs(200))
    const checker = checkerOf({})
    const ask = { id: 'x', tenant, provider: 'prv_1', credential: 'crd_1', revision: 7, timeoutMs: 5_000 }
    const found = await Promise.all(Array.from({ length: 6 }, () => checker(ask, new AbortController().signal)))
    expect(found.map(({ ok }) => ok)).toEqual([true, true, true, true, false, false])
    expect(found[5]!.detail).toContain('try again')
  })

  it('never shows the credential, not even where the provider lists it as a model', async () => {
    upstream.next(list('honest', `model-${secret}`))
    expect((await check()).models).toEqual(['honest', 'model-[secret]'])
    const [before, longName] = ['x'.repeat(190), 'y'.repeat(5_000)]
    upstream.next(list(before + secret, longName))
    expect((await check()).models).toEqual([`${before}[secret]`, 'y'.repeat(200)])
  })
})
