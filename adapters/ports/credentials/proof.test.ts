import { createHash, createHmac, generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { importSPKI, jwtVerify } from 'jose'
import { afterAll, describe, expect, it } from 'vitest'
import type { RunningCredential, RunningProvider } from '../../../data-plane/snapshot/running.ts'
import { Destinations } from '../destination.ts'
import { tokenExchange } from '../token-exchange.ts'
import { type Proof, prover } from './proof.ts'
import type { Unproven } from './proof-need.ts'

/** A token service on this machine; `answer` says what it gives for a form. */
function tokenService(answer: (form: URLSearchParams, request: Request) => object | number) {
  const asked: URLSearchParams[] = []
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    async fetch(request) {
      const form = new URLSearchParams(await request.text())
      asked.push(form)
      const given = answer(form, request)
      return typeof given === 'number' ? new Response('leaky secret', { status: given }) : Response.json(given)
    },
  })
  services.push(server)
  return { url: `http://127.0.0.1:${server.port}`, asked }
}
const services: { stop(now: boolean): void }[] = []
const folder = mkdtempSync(join(tmpdir(), 'sluice-proof-'))
afterAll(() => {
  for (const service of services) service.stop(true)
  rmSync(folder, { recursive: true })
})

const exchange = tokenExchange(new Destinations({ privateHosts: ['127.0.0.1'] }))
let made = 0

function need(
  kind: RunningCredential['kind'],
  secret: string,
  over: {
    platform?: RunningProvider['platform']
    source?: RunningCredential['source']
    env?: Record<string, string>
    url?: string
    method?: 'GET'
  } = {},
) {
  const provider = { name: 'p', platform: over.platform ?? 'OPENAI', proxy: null, caBundle: null } as RunningProvider
  const source = over.source ?? 'STORED'
  const credential = { id: `crd_${made++}`, kind, source, provider, tenant: 't' } as RunningCredential
  const request: Unproven = over.method
    ? { provider, credential, region: 'eu-central-1', body: '', headers: {}, method: over.method }
    : { provider, credential, region: 'eu-central-1', body: '{"a":1}', headers: { 'content-type': 'application/json' } }
  const secrets = { secretOf: () => ({ expose: () => secret, fingerprint: 'f' }) }
  const proving = prover(secrets, exchange, over.env ?? {})
  return async () =>
    (await proving.prove(request, over.url ?? 'https://provider.example/x')) as Proof & { missing?: string }
}

describe('an API key', () => {
  it.each([
    ['OPENAI', 'authorization', 'Bearer k'],
    ['ANTHROPIC', 'x-api-key', 'k'],
    ['AZURE_OPENAI', 'api-key', 'k'],
    ['GOOGLE_AI', 'x-goog-api-key', 'k'],
    ['AWS_BEDROCK', 'authorization', 'Bearer k'],
  ] as const)('goes to %s in %s', async (platform, header, value) => {
    expect(await need('API_KEY', 'k', { platform })()).toEqual({ headers: { [header]: value }, secrets: ['k'] })
  })
})

/** Signature Version 4 from its documentation, step by step, to hold the library's use against. */
function signatureOf(
  path: string,
  headers: Record<string, string>,
  body: string,
  secret: string,
  method = 'POST',
): string {
  const hash = (text: string) => createHash('sha256').update(text).digest('hex')
  const mac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()
  const names = Object.keys(headers).sort()
  const canonical = [
    method,
    path.split('/').map(encodeURIComponent).join('/'),
    '',
    ...names.map((name) => `${name}:${headers[name]}`),
    '',
    names.join(';'),
    hash(body),
  ].join('\n')
  const at = headers['x-amz-date']!
  const scope = `${at.slice(0, 8)}/eu-central-1/bedrock/aws4_request`
  const key = scope.split('/').reduce<string | Buffer>((signing, part) => mac(signing, part), `AWS4${secret}`)
  return mac(key, ['AWS4-HMAC-SHA256', at, scope, hash(canonical)].join('\n')).toString('hex')
}

describe('AWS keys', () => {
  const url = 'https://bedrock-runtime.eu-central-1.amazonaws.com/model/a.b%3A0/converse'
  it.each([
    ['AKIA1:secret/1', undefined],
    ['{"accessKeyId":"AKIA1","secretAccessKey":"secret/1","sessionToken":"tok"}', 'tok'],
  ])('sign each request as the documentation of Signature Version 4 has it', async (text, token) => {
    const { headers, secrets } = await need('AWS_KEYS', text, { platform: 'AWS_BEDROCK', url })()
    expect(headers['x-amz-security-token']).toBe(token)
    expect(secrets).toEqual(token ? ['secret/1', token] : ['secret/1'])
    const { authorization, ...signed } = headers
    const all = { ...signed, host: 'bedrock-runtime.eu-central-1.amazonaws.com', 'content-type': 'application/json' }
    expect(authorization).toContain(`Credential=AKIA1/`)
    expect(authorization).toContain(`Signature=${signatureOf('/model/a.b%3A0/converse', all, '{"a":1}', 'secret/1')}`)
  })
  it('sign a request without a body too, for the service that lists models', async () => {
    const host = 'bedrock.eu-central-1.amazonaws.com'
    const over = { platform: 'AWS_BEDROCK', url: `https://${host}/foundation-models`, method: 'GET' } as const
    const { authorization, ...signed } = (await need('AWS_KEYS', 'AKIA1:secret/1', over)()).headers
    const signature = signatureOf('/foundation-models', { ...signed, host }, '', 'secret/1', 'GET')
    expect(authorization).toContain(`Signature=${signature}`)
  })
  it('are got for a role with the web identity of the platform, once for many requests', async () => {
    const file = join(folder, 'token')
    writeFileSync(file, 'web-token\n')
    const sts = tokenService(() => ({
      AssumeRoleWithWebIdentityResponse: {
        AssumeRoleWithWebIdentityResult: {
          Credentials: {
            AccessKeyId: 'ASIA1',
            SecretAccessKey: 's',
            SessionToken: 'st',
            Expiration: Date.now() / 1000 + 3600,
          },
        },
      },
    }))
    const env = {
      AWS_ROLE_ARN: 'arn:aws:iam::1:role/x',
      AWS_WEB_IDENTITY_TOKEN_FILE: file,
      AWS_ENDPOINT_URL_STS: sts.url,
    }
    const prove = need('AWS_WEB_IDENTITY', '', { platform: 'AWS_BEDROCK', source: 'WORKLOAD_IDENTITY', env, url })
    const proofs = await Promise.all([prove(), prove(), prove()])
    for (const { headers } of proofs) expect(headers['x-amz-security-token']).toBe('st')
    expect(sts.asked.map((form) => form.get('WebIdentityToken'))).toEqual(['web-token'])
  })
  it('that are none are told by the name of the credential, without a word of the secret', async () => {
    expect(await need('AWS_KEYS', 'nonsense', { platform: 'AWS_BEDROCK', url })()).toEqual({
      missing: expect.stringMatching(/^The secret of credential crd_\d+ is no AWS key pair\.$/),
    })
  })
})

describe('a Google service account', () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const account = (tokenUri: string) =>
    JSON.stringify({ client_email: 'a@b', private_key: pem, private_key_id: 'kid', token_uri: tokenUri })

  it('exchanges an assertion that it signs for a token, once', async () => {
    const service = tokenService(() => ({ access_token: 'ya29', expires_in: 3600 }))
    const prove = need('GCP_SERVICE_ACCOUNT', account(service.url), { platform: 'GOOGLE_VERTEX' })
    const proofs = await Promise.all([prove(), prove()])
    expect(proofs.map(({ headers }) => headers.authorization)).toEqual(['Bearer ya29', 'Bearer ya29'])
    expect(service.asked).toHaveLength(1)
    const key = await importSPKI(publicKey.export({ type: 'spki', format: 'pem' }).toString(), 'RS256')
    const { payload } = await jwtVerify(service.asked[0]!.get('assertion')!, key, { audience: service.url })
    expect(payload).toMatchObject({ iss: 'a@b', scope: expect.stringContaining('cloud-platform') })
  })
  it('whose token service is at a private address is not asked there', async () => {
    const strict = tokenExchange(new Destinations())
    const service = tokenService(() => ({ access_token: 'x' }))
    const provider = { name: 'p', selfHosted: false, proxy: null, caBundle: null } as RunningProvider
    const answer = await strict({ provider, url: service.url, method: 'POST', headers: {}, ofTenant: true })
    expect(answer.missing).toContain('private address')
    expect(service.asked).toHaveLength(0)
  })
  it('that is refused says so by status alone, and is not asked again at once', async () => {
    const service = tokenService(() => 403)
    const prove = need('GCP_SERVICE_ACCOUNT', account(service.url), { platform: 'GOOGLE_VERTEX' })
    for (let i = 0; i < 3; i++) {
      const { missing } = await prove()
      expect(missing).toContain('answered 403')
      expect(missing).not.toContain('leaky')
    }
    expect(service.asked).toHaveLength(1)
  })
})

describe('an Entra ID client', () => {
  it('gets a token for Azure OpenAI with its secret, or with the assertion that the platform mounts', async () => {
    const service = tokenService((form) => ({
      access_token: form.get('client_secret') ?? form.get('client_assertion')!,
      expires_in: '3599',
    }))
    const env = { AZURE_AUTHORITY_HOST: service.url }
    const stored = JSON.stringify({ tenantId: 't', clientId: 'c', clientSecret: 'shh' })
    const { headers, secrets } = await need('AZURE_ENTRA', stored, { platform: 'AZURE_OPENAI', env })()
    expect([headers.authorization, secrets]).toEqual(['Bearer shh', ['shh']])
    const file = join(folder, 'federated')
    writeFileSync(file, 'assertion')
    const mounted = { ...env, AZURE_TENANT_ID: 't', AZURE_CLIENT_ID: 'c', AZURE_FEDERATED_TOKEN_FILE: file }
    const federated = need('AZURE_ENTRA', '', { platform: 'AZURE_OPENAI', source: 'WORKLOAD_IDENTITY', env: mounted })
    expect((await federated()).headers.authorization).toBe('Bearer assertion')
    expect(service.asked.map((form) => form.get('scope'))).toEqual(
      Array(2).fill('https://cognitiveservices.azure.com/.default'),
    )
  })
})
