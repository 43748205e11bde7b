import { describe, expect, it } from 'vitest'
import { checkDocuments } from './check.ts'
import { locateIn } from './plan.ts'
import { parseText, readSources } from './read.ts'

function check(text: string, file = 'config.yaml') {
  const { documents, troubles } = parseText(file, text)
  const checked = checkDocuments(documents)
  return {
    ...checked,
    troubles: [...troubles, ...checked.troubles].map(({ where, message, advice }) => [where, message, advice]),
  }
}

describe('a config file', () => {
  it('is the whole truth: what it leaves out is null', () => {
    const { resources, troubles } = check('kind: Team\nname: core\ncostCenter: "42"\n')
    expect(troubles).toEqual([])
    expect(resources[0]!.input).toEqual({ name: 'core', labels: null, costCenter: '42', members: null })
  })

  it('does not take back what can be said only once', () => {
    expect(check('kind: Tenant\nname: acme\n').resources[0]!.input).not.toHaveProperty('currency')
  })

  it('may be YAML of several documents, or JSON, of one or a list', () => {
    expect(
      check('kind: Team\nname: a\n---\n# nothing\n---\nkind: team\nname: b\n').resources.map(({ handle }) => handle),
    ).toEqual(['team/a', 'team/b'])
    const json = JSON.stringify(
      [
        { kind: 'Team', name: 'a' },
        { kind: 'Project', name: 'b', team: 'team/a' },
      ],
      null,
      2,
    )
    expect(check(json, 'a.json').resources.map(({ handle }) => handle)).toEqual(['team/a', 'project/b'])
  })

  it('says a field that is itself called kind by its type', () => {
    const { resources, troubles } = check('kind: Principal\nname: bot\nprincipalKind: SERVICE\n')
    expect(troubles).toEqual([])
    expect(resources[0]!.input).toMatchObject({ name: 'bot', kind: 'SERVICE' })
  })

  it('has all its errors told at once, each with its line and the way out', () => {
    const { troubles } = check(
      [
        'kind: Model',
        'name: gpt-4o',
        'provider: provider/openai',
        'upstreamNam: gpt-4o',
        'bounds:',
        '  tokensPerMesage: 3',
        'capabilities: [CHAT, SING]',
        '---',
        'kind: Modle',
        'name: x',
        '---',
        'kind: PriceSheet',
        'name: "-bad"',
        'lines:',
        '  - model: model/gpt-4o',
        '    meter: INPUT_TOKENS',
        '    amount: 0.15',
        '    per: 1000000',
      ].join('\n'),
    )
    expect(troubles).toEqual([
      ['config.yaml:4', 'Model has no field "upstreamNam".', 'did you mean upstreamName?'],
      ['config.yaml:1', 'Model needs upstreamName.', undefined],
      ['config.yaml:6', 'bounds has no field "tokensPerMesage".', 'did you mean tokensPerMessage?'],
      ['config.yaml:7', expect.stringContaining('capabilities.1: invalid option'), undefined],
      ['config.yaml:9', 'There is no kind "Modle".', expect.stringContaining('Model')],
      ['config.yaml:13', expect.stringContaining('name must begin with'), undefined],
      ['config.yaml:17', 'lines.0.amount: must be text: put it in quotes, such as "0.15".', undefined],
    ])
  })

  it('that is not YAML says where', () => {
    expect(check('kind: Team\nname: [a\n').troubles[0]![0]).toMatch(/^config\.yaml:[23]$/)
    expect(check('kind: Team\nkind: Team\nname: a\n').troubles).toEqual([
      ['config.yaml:2', expect.stringContaining('unique'), undefined],
    ])
    expect(check('just text').troubles[0]).toEqual([
      'config.yaml:1',
      expect.stringContaining('This is no resource'),
      undefined,
    ])
  })

  it('that declares a thing twice says where it was first', () => {
    const { troubles } = check('kind: Team\nname: a\n---\nkind: Team\nname: a\n')
    expect(troubles).toEqual([['config.yaml:5', 'team/a is declared at config.yaml:2 already.', undefined]])
  })

  it('cannot blow up by anchors', () => {
    const levels = Array.from(
      { length: 30 },
      (_, at) => `l${at}: &l${at} [${`*l${at - 1},`.repeat(at === 0 ? 0 : 9)}x]`,
    )
    expect(check(`kind: Team\nname: a\n${levels.join('\n')}\n`).troubles[0]![1]).toMatch(/alias/i)
  })

  it('has its line named by an error of the control plane too', () => {
    const { resources } = check(
      'kind: Team\nname: a\n---\nkind: Principal\nname: b\nprincipalKind: SERVICE\nidentities:\n  - issuer: i\n    subject: s\n',
    )
    const locate = locateIn(resources)
    expect(locate(['resources', '1', 'principal', 'kind'])).toBe('config.yaml:6')
    expect(locate(['resources', '1', 'principal', 'identities', '0', 'subject'])).toBe('config.yaml:9')
    expect(locate(['resources', '0', 'team', 'members'])).toBe('config.yaml:1')
    expect(locate(['planDigest'])).toBeUndefined()
  })

  it('that is not there, or holds nothing, is told by name', async () => {
    const { troubles } = await readSources({ readStdin: async () => '' }, ['/no/such/file.yaml', '-'])
    expect(troubles.map(({ message }) => message)).toEqual(['There is no file or directory /no/such/file.yaml.'])
  })
})
