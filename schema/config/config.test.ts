import { describe, expect, it } from 'vitest'
import { kindList } from '../handles.ts'
import { declarations, type Resource } from './index.ts'
import { findReferences } from './walk.ts'

const parse = (kind: Resource['kind'], spec: object) => declarations[kind].spec.safeParse(spec)
const messages = (kind: Resource['kind'], spec: object) => {
  const parsed = parse(kind, spec)
  if (!parsed.success) return parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
  return (declarations[kind].rules?.(parsed.data as never) ?? []).map(
    ({ path, message }) => `${path.join('.')}: ${message}`,
  )
}

describe('a declaration', () => {
  it('of every kind fills its defaults into what parses again to the same', () => {
    const least: Partial<Record<Resource['kind'], object>> = {
      project: { team: 'team/a' },
      apiKey: { kind: 'ADMIN', principal: 'principal/a' },
      provider: { platform: 'ECHO' },
      credential: { provider: 'provider/a' },
      model: { provider: 'provider/a', upstreamName: 'gpt' },
      alias: { model: 'model/a' },
      route: { targets: [{ model: 'model/a' }] },
      budget: { scope: 'tenant/a', limit: { amount: '10', currency: 'USD' }, period: 'MONTH' },
      rateLimit: { scope: 'tenant/a', unit: 'CONCURRENT_REQUESTS', limit: 5 },
      policy: { scope: 'tenant/a', spec: { routing: { regions: ['eu-1'] } } },
      webhook: { url: 'https://hooks.example/a' },
      alertRule: { scope: 'tenant/a', on: 'BUDGET_THRESHOLD' },
      dataPlane: { adapter: 'STANDALONE' },
    }
    for (const kind of kindList) {
      const first = parse(kind, least[kind] ?? {})
      expect([kind, first.error?.issues]).toEqual([kind, undefined])
      expect(parse(kind, first.data!).data).toEqual(first.data)
      expect(messages(kind, first.data!)).toEqual([])
    }
  })
  it('refuses fields it does not know', () => {
    expect(messages('team', { costCentre: 'x' })).toEqual([expect.stringContaining('costCentre')])
  })
  it('finds its references wherever they stand, and replaces them', () => {
    const spec = {
      strategy: 'PRIORITY',
      targets: [
        { model: 'model/a', credential: null, weight: 1 },
        { model: 'model/b', credential: 'credential/c', weight: 1 },
      ],
    }
    const found = findReferences(declarations.route.spec.shape, spec)
    expect(found.map(({ path, value, kinds }) => [path.join('.'), value, kinds[0]])).toEqual([
      ['targets.0.model', 'model/a', 'model'],
      ['targets.1.model', 'model/b', 'model'],
      ['targets.1.credential', 'credential/c', 'credential'],
    ])
    found[2]!.replace('crd_1')
    expect(spec.targets[1]!.credential).toBe('crd_1')
  })
  it.each(['evil.com/#', 'eu-1.evil.com', '../x', 'EU 1', '@host'])(
    'takes no region that could lead a host name elsewhere, such as %s',
    (region) => {
      const provider = { platform: 'OPENAI', baseUrl: 'https://a.example/v1', region }
      expect(messages('provider', provider)).toEqual([expect.stringContaining('region')])
      expect(messages('model', { provider: 'provider/a', upstreamName: 'm', region })).toHaveLength(1)
    },
  )
  it('says what is wrong between fields', () => {
    expect(messages('alias', { model: 'model/a', route: 'route/b' })).toEqual([
      'model: exactly one of route and model is declared',
    ])
    expect(messages('provider', { platform: 'OPENAI' })).toEqual([expect.stringContaining('baseUrl')])
    expect(messages('provider', { platform: 'ECHO', headers: { authorization: 'x' } })).toEqual([
      expect.stringContaining('credential'),
    ])
    expect(messages('provider', { platform: 'ECHO', forwardHeaders: ['auth*'] })).toEqual([
      expect.stringContaining('forwardHeaders.0'),
    ])
    expect(messages('credential', { provider: 'provider/a', source: 'ENVIRONMENT' })).toEqual([
      expect.stringContaining('env:'),
    ])
    expect(
      messages('priceSheet', { lines: [{ model: 'model/a', meter: 'INPUT_TOKENS', amount: '1', per: 3 }] }),
    ).toEqual([expect.stringContaining('not exact')])
  })
  it('takes no base URL that hides a secret or another protocol', () => {
    for (const baseUrl of [
      'http://user:pw@host/',
      'https://host/?key=1',
      'file:///etc/passwd',
      'https://host/#a',
      'host',
    ])
      expect(messages('provider', { platform: 'OPENAI', baseUrl })).toContainEqual(expect.stringContaining('baseUrl'))
  })
})
