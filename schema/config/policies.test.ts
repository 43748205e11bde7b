import { describe, expect, it } from 'vitest'
import { mintId } from '../ids.ts'
import { declarations, labelFault, type Resource } from './index.ts'
import { findReferences } from './walk.ts'

const told = (kind: Resource['kind'], spec: object) => {
  const parsed = declarations[kind].spec.safeParse(spec)
  const issues = parsed.success ? declarations[kind].rules?.(parsed.data as never) : parsed.error.issues
  return (issues ?? []).map(({ path, message }) => `${path.join('.')}: ${message}`)
}
const policy = (more: object, routing: object = { regions: ['eu-1'] }) =>
  told('policy', { scope: mintId('team'), spec: { routing }, ...more })
const label = (...labels: object[]) => told('tenant', { requestLabels: labels })

describe('a routing policy', () => {
  it('must say something, and leave something', () => {
    expect(policy({})).toEqual([])
    expect(policy({}, {})).toEqual([expect.stringContaining('spec.routing: says nothing')])
    for (const list of ['allowAliases', 'allowModels', 'allowTiers', 'regions'])
      expect(policy({}, { [list]: [] })).toEqual([
        `spec.routing.${list}: allows nothing; leave it out to allow everything`,
      ])
    const [one, other] = [mintId('model'), mintId('model')]
    expect(policy({}, { allowModels: [one], denyModels: [other, one] })).toEqual([
      'spec.routing.denyModels: denies every model that allowModels allows: nothing is left',
    ])
    expect(policy({}, { allowModels: [one, other], denyModels: [one] })).toEqual([])
  })

  it('attaches to who asks, and not to what it chooses', () => {
    for (const kind of ['tenant', 'team', 'project', 'principal', 'apiKey'] as const)
      expect(policy({ scope: mintId(kind) })).toEqual([])
    expect(policy({ scope: 'label/case' })).toEqual([])
    for (const kind of ['provider', 'model', 'tier'] as const)
      expect(policy({ scope: mintId(kind) })).toEqual([
        expect.stringMatching(/^scope: a routing policy cannot attach to/),
      ])
  })

  it('names regions as providers do', () => {
    expect(policy({}, { regions: ['eu-central-1', 'westeurope', 'us_1'] })).toEqual([])
    for (const region of ['', 'eu central', 'eu-*', '-eu', 'x'.repeat(101)])
      expect(policy({}, { regions: [region] })).toEqual([
        expect.stringContaining('spec.routing.regions.0: must be a region'),
      ])
    expect(policy({ when: { region: ['a b'] } })).toEqual([expect.stringContaining('when.region.0: must be a region')])
  })

  it('is one of the kinds there are, and only one', () => {
    expect(told('policy', { scope: 'team/a', spec: {} })).toEqual(['spec: holds exactly one of routing'])
    expect(told('policy', { scope: 'team/a', spec: { pii: {} } })).not.toEqual([])
    expect(told('policy', { spec: { routing: { regions: ['eu-1'] } } })).toEqual([expect.stringMatching(/^scope: /)])
  })

  it('holds under a condition that can hold', () => {
    expect(policy({ when: { model: [] } })).toEqual(['when.model: holds for nothing; leave it out'])
    expect(policy({ when: { minInputTokens: 9, maxInputTokens: 8 } })).toEqual([
      expect.stringContaining('when.minInputTokens: is larger than maxInputTokens'),
    ])
    expect(policy({ when: { minInputTokens: 0, maxInputTokens: 0, streamed: false } })).toEqual([])
    expect(policy({ when: { weather: 'fine' } })).not.toEqual([])
    expect(policy({ when: { language: ['de'] } })).toEqual([expect.stringContaining('when.language: is a guess')])
  })

  it('has references wherever it names something, but none in a label', () => {
    const spec = {
      scope: 'label/case=a',
      when: { provider: ['provider/a'], tier: ['tier/b'] },
      spec: { routing: { allowAliases: ['alias/c'], denyModels: ['model/d'] } },
    }
    const found = (given: object) =>
      findReferences(declarations.policy.spec.shape, given as never).map(
        ({ path, value }) => `${path.join('.')} ${value}`,
      )
    expect(found(spec)).toEqual([
      'when.provider.0 provider/a',
      'when.tier.0 tier/b',
      'spec.routing.allowAliases.0 alias/c',
      'spec.routing.denyModels.0 model/d',
    ])
    expect(found({ ...spec, scope: 'team/x' })[0]).toBe('scope team/x')
  })
})

describe('a request label', () => {
  it('has a name of its own', () => {
    expect(label({ key: 'case' }, { key: 'cost-center.v2' })).toEqual([])
    for (const key of ['team', 'Model', 'api_key', 'data-plane', 'sluice-x', 'SluiceTrace', 'label'])
      expect(label({ key })).toEqual([expect.stringContaining('keeps for itself')])
    for (const key of ['', '1st', 'a b', 'a=b', 'a,b', 'a/b', 'x'.repeat(64)]) expect(label({ key })).not.toEqual([])
    expect(label({ key: 'case' }, { key: 'Case' })).toEqual(['requestLabels.1.key: Case is declared twice'])
  })

  it('is read from where providers leave room for it', () => {
    const from = (source: string) => label({ key: 'case', from: [source] })
    for (const source of ['user', 'safety_identifier', 'metadata.case', 'metadata.user_id', 'metadata.a.b-c'])
      expect(from(source)).toEqual([])
    for (const source of ['', 'messages', 'metadata', 'metadata.', 'metadata. x', 'header.x', 'metadata.case[0]'])
      expect(from(source)).toEqual([expect.stringContaining('requestLabels.0.from.0: must be user')])
  })

  it('has values that a header can carry', () => {
    const values = (...some: string[]) => label({ key: 'case', values: some })
    expect(values('a', 'two words', 'a=b', 'größe')).toEqual([])
    for (const value of ['', 'a,b', ' a', 'a ', 'a\nb']) expect(values(value)).not.toEqual([])
    expect(values()).toEqual([expect.stringContaining('allows no value')])
    expect(values('a', 'a')).toEqual(['requestLabels.0.values: names a value twice'])
    expect(label({ key: 'case', values: ['a', 'b'], maxValues: 1 })).toEqual([expect.stringContaining('is less than')])
  })

  it('is carried only where it is declared, with a value it may have', () => {
    const base = { from: [], required: false, maxValues: 9, subject: false }
    const declared = [
      { ...base, key: 'case', values: ['a', 'b'] },
      { ...base, key: 'free', values: null },
    ]
    expect(labelFault(declared, 'case', 'a')).toBeUndefined()
    expect(labelFault(declared, 'case', null)).toBeUndefined()
    expect(labelFault(declared, 'free', 'anything')).toBeUndefined()
    expect(labelFault(declared, 'case', 'c')).toBe('case is one of a, b')
    expect(labelFault(declared, 'free', 'a,b')).toContain('comma')
    expect(labelFault(declared, 'Case', 'a')).toBe('Case is no request label of this tenant; declared are: case, free')
  })
})
