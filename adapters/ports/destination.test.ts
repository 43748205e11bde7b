import { describe, expect, it } from 'vitest'
import type { RunningProvider } from '../../data-plane/snapshot/running.ts'
import { Destinations } from './destination.ts'

const provider = { selfHosted: false, proxy: null, name: 'p' } as RunningProvider
const names: Record<string, string[]> = {
  'api.example.com': ['93.184.215.14'],
  'inside.example.com': ['93.184.215.14', '10.0.0.7'],
  'metadata.example.com': ['169.254.169.254'],
  'mapped.example.com': ['::ffff:127.0.0.1'],
  'six.example.com': ['2606:2800:21f:cb07:6820:80da:af6b:8b2c'],
  'models.corp': ['10.1.2.3'],
}
const lookup = async (host: string) => names[host] ?? []
const at = (url: string, privateHosts: string[] = [], env = {}) =>
  new Destinations({ privateHosts, lookup, env }).of(provider, url)

describe('where a provider may be', () => {
  it('is pinned to the address that was checked, with the name for TLS and HTTP', async () => {
    expect(await at('https://api.example.com:8443/v1/x')).toEqual({
      origin: 'https://93.184.215.14:8443',
      host: 'api.example.com:8443',
      serverName: 'api.example.com',
    })
    expect(await at('https://six.example.com/v1')).toMatchObject({
      origin: 'https://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]',
    })
  })
  it.each([
    'http://127.0.0.1:4000/v1',
    'http://[::1]/v1',
    'http://2130706433/v1',
    'http://0x7f.1/v1',
    'http://0177.0.0.1/v1',
    'http://169.254.169.254/latest',
    'http://[::ffff:10.0.0.1]/v1',
    'http://[fe80::1]/v1',
    'http://[64:ff9b::a00:1]/v1',
    'https://metadata.example.com/v1',
    'https://mapped.example.com/v1',
    'https://inside.example.com/v1',
    'https://INSIDE.example.com./v1',
    'https://models.corp/v1',
  ])('is not %s, whatever else the name answers', async (url) => {
    expect(await at(url)).toEqual({ barred: expect.stringContaining('SLUICE_PRIVATE_HOSTS') })
  })
  it('may be private where the operator allows the name, its suffix or the network', async () => {
    expect(await at('https://models.corp/v1', ['models.corp'])).toBeNull()
    expect(await at('https://models.corp/v1', ['*.corp'])).toBeNull()
    expect(await at('https://models.corp/v1', ['10.1.0.0/16'])).toMatchObject({ origin: 'https://10.1.2.3' })
    expect(await at('http://127.0.0.1:4000/v1', ['127.0.0.1'])).toBeNull()
    expect(await at('https://inside.example.com/v1', ['10.9.0.0/16'])).toHaveProperty('barred')
  })
  it('is looked up once for many requests, and the answer of a later lookup changes nothing until then', async () => {
    let asked = 0
    const rebinding = new Destinations({
      lookup: async () => (asked++ === 0 ? ['93.184.215.14'] : ['127.0.0.1']),
      env: {},
    })
    for (let i = 0; i < 5; i++)
      expect(await rebinding.of(provider, 'https://api.example.com/v1')).toMatchObject({
        origin: 'https://93.184.215.14',
      })
    expect(asked).toBe(1)
  })
  it('is nowhere while its name cannot be found: to connect would look it up again, unchecked', async () => {
    expect(await at('https://unknown.example.com/v1')).toEqual({ barred: 'Its name could not be found.' })
  })
  it("is the proxy's business where a proxy stands between, declared or of the environment", async () => {
    const env = { HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: 'corp' }
    expect(await at('https://api.example.com/v1', [], env)).toBeNull()
    expect(await at('https://models.corp/v1', [], env)).toHaveProperty('barred')
    const proxied = { ...provider, proxy: 'env:PROXY' } as RunningProvider
    expect(await new Destinations({ lookup }).of(proxied, 'https://models.corp/v1')).toBeNull()
  })
  it('is its own network for a self-hosted provider', async () => {
    const own = { ...provider, selfHosted: true } as RunningProvider
    expect(await new Destinations({ lookup }).of(own, 'http://10.0.0.1/v1')).toBeNull()
  })
})
