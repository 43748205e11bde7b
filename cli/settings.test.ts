import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { describeSettings, readSettings, unknownSettings } from './settings.ts'

const directory = mkdtempSync(join(tmpdir(), 'sluice-settings-'))
afterAll(() => rmSync(directory, { recursive: true }))

function read(env: Record<string, string>) {
  const found = readSettings(env)
  return 'settings' in found ? found.settings : found.wrong
}

describe('settings', () => {
  it('has a default for everything, so that nothing has to be set', () => {
    expect(read({})).toMatchObject({
      dataDir: '.sluice',
      host: '127.0.0.1',
      port: 4000,
      gatewayPort: 8080,
      opsPort: 8081,
    })
    expect(read({})).toMatchObject({ bodyLimit: 32 * 1024 * 1024, databaseUrl: null, masterKey: null, log: 'info' })
  })

  it('reads every variable from a file as well, without the line break at its end', () => {
    const path = join(directory, 'token')
    writeFileSync(path, 'sla_secret\n')
    expect(read({ SLUICE_ADMIN_TOKEN_FILE: path })).toMatchObject({ adminToken: 'sla_secret' })
  })

  it('tells everything that is wrong at once, one sentence each', () => {
    const wrong = read({
      SLUICE_PORT: '99999',
      SLUICE_LOG: 'loud',
      SLUICE_BODY_LIMIT: '1TiB',
      SLUICE_TLS_CERT_FILE: '/no/such',
    })
    expect(wrong).toEqual([
      'SLUICE_PORT is a port from 0 (any free one) to 65535, not "99999".',
      'SLUICE_BODY_LIMIT is a size from 1KiB to 1GiB, such as 32MiB, not "1TiB".',
      'SLUICE_LOG is one of debug, info, warn, error, not "loud".',
      'SLUICE_TLS_CERT_FILE names /no/such, which cannot be read.',
    ])
  })

  it('refuses a variable that is given twice, and half a TLS identity', () => {
    expect(read({ SLUICE_HOST: 'a', SLUICE_HOST_FILE: 'b' })).toEqual([
      'SLUICE_HOST and SLUICE_HOST_FILE are both set; keep one.',
    ])
    const cert = '-----BEGIN CERTIFICATE-----'
    expect(read({ SLUICE_TLS_CERT: cert })).toEqual([
      'SLUICE_TLS_CERT and SLUICE_TLS_KEY go together; set both or neither.',
    ])
  })

  it('never repeats a secret', () => {
    const wrong = read({ SLUICE_DATABASE_URL: 'mysql://root:hunter2@db' })
    expect(String(wrong)).not.toContain('hunter2')
  })

  it('notices a variable that means nothing', () => {
    expect(unknownSettings({ SLUICE_PROT: '1', SLUICE_PORT: '1', SLUICE_MASTER_KEY_FILE: 'x', HOME: '/' })).toEqual([
      'SLUICE_PROT',
    ])
  })

  it('can be listed with what each is for and what is set, but never a secret', () => {
    const listed = describeSettings({
      SLUICE_GATEWAY_PORT: '8888',
      SLUICE_MASTER_KEY: 'hunter2',
      SLUICE_PLANE_TOKEN_FILE: 't',
    })
    const find = (variable: string) => listed.find((one) => one.variable === variable)
    expect(find('SLUICE_GATEWAY_PORT')).toEqual({
      variable: 'SLUICE_GATEWAY_PORT',
      description: 'port of the gateway',
      fallback: '8080',
      given: '8888',
    })
    expect(find('SLUICE_MASTER_KEY')?.given).toBe('(set)')
    expect(find('SLUICE_PLANE_TOKEN')?.given).toBe('in t')
    expect(JSON.stringify(listed)).not.toContain('hunter2')
  })
})
