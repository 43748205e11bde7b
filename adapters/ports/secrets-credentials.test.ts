import { createSecretKey, randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { sealSecret } from '../../air-gap/secrets.ts'
import type { RunningCredential, Secret } from '../../data-plane/snapshot/running.ts'
import { credentialSecrets } from './secrets-credentials.ts'

const folder = mkdtempSync(join(tmpdir(), 'sluice-secrets-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const contentKey = createSecretKey(randomBytes(32))
const credentialOf = (source: RunningCredential['source'], locator: string | null = null): RunningCredential =>
  ({
    id: 'crd_1',
    kind: 'API_KEY',
    source,
    locator,
    version: 1,
    tenant: 'ten_1',
    provider: { name: 'openai' },
  }) as RunningCredential
const sealed = (tenant = 'ten_1') => ({ contentKey, sealed: sealSecret(contentKey, tenant, 'crd_1', 'sk-stored') })

let nowMs = 0
const secretsWith = (sealedSecretOf: Parameters<typeof credentialSecrets>[0]['sealedSecretOf'], env = {}) =>
  credentialSecrets({ sealedSecretOf, env, clock: { monotonic: () => nowMs } })
const exposed = (secret: Secret | { missing: string }) => ('missing' in secret ? secret : secret.expose())

describe('a secret', () => {
  it('that is stored is opened when asked for, and once', () => {
    let asked = 0
    const secrets = secretsWith(() => {
      asked += 1
      return sealed()
    })
    const credential = credentialOf('STORED')
    expect(exposed(secrets.secretOf(credential))).toBe('sk-stored')
    expect(secrets.secretOf(credential)).toBe(secrets.secretOf(credential))
    expect(asked).toBe(1)
  })

  it('that is stored elsewhere is resolved on the plane', () => {
    const secrets = secretsWith(() => undefined, { OPENAI_KEY: ' sk-env\n' })
    expect(exposed(secrets.secretOf(credentialOf('ENVIRONMENT', 'env:OPENAI_KEY')))).toBe('sk-env')
    const path = join(folder, 'key')
    writeFileSync(path, 'sk-file\n')
    expect(exposed(secrets.secretOf(credentialOf('FILE', `file:${path}`)))).toBe('sk-file')
  })

  it('in a file is taken up again when the file was rotated', () => {
    const path = join(folder, 'rotated')
    const secrets = secretsWith(() => undefined)
    const read = () => exposed(secrets.secretOf(credentialOf('FILE', `file:${path}`)))
    writeFileSync(path, 'one')
    expect(read()).toBe('one')
    writeFileSync(path, 'two')
    utimesSync(path, 1, 1)
    expect(read()).toBe('one')
    nowMs += 10_000
    expect(read()).toBe('two')
    rmSync(path)
    nowMs += 10_000
    expect(read()).toMatchObject({ missing: expect.stringContaining('crd_1') })
  })

  it('shows itself nowhere but where it is asked for by name', () => {
    const secret = secretsWith(() => sealed()).secretOf(credentialOf('STORED'))
    const shown = [
      String(secret),
      `${secret}`,
      JSON.stringify({ secret }),
      inspect(secret),
      inspect({ deep: [secret] }),
      Bun.inspect(secret),
    ]
    for (const text of shown) expect(text).not.toContain('sk-stored')
    expect(JSON.stringify(secret)).toBe('"[secret]"')
    expect((secret as Secret).fingerprint).toMatch(/^[0-9a-f]{12}$/)
  })

  it('that is missing is told with its credential, and without a value or a place', () => {
    const secrets = secretsWith(() => undefined, { OTHER: 'sk-other' })
    const all = [
      secrets.secretOf(credentialOf('STORED')),
      secretsWith(() => sealed('ten_2')).secretOf(credentialOf('STORED')),
      secrets.secretOf(credentialOf('ENVIRONMENT', 'env:OPENAI_KEY')),
      secrets.secretOf(credentialOf('ENVIRONMENT', 'env:__proto__')),
      secrets.secretOf(credentialOf('FILE', 'file:/nowhere/at/all')),
      secrets.secretOf(credentialOf('WORKLOAD_IDENTITY')),
    ]
    for (const found of all) {
      expect(found).toMatchObject({ missing: expect.stringContaining('Credential crd_1 of provider openai') })
      expect(JSON.stringify(found)).not.toMatch(/sk-|OPENAI_KEY|nowhere/)
    }
  })

  it('in a file that is far too large is not read', () => {
    const path = join(folder, 'large')
    writeFileSync(path, 'x'.repeat(70_000))
    expect(secretsWith(() => undefined).secretOf(credentialOf('FILE', `file:${path}`))).toHaveProperty('missing')
  })
})
