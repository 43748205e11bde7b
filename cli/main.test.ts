import { describe, expect, it } from 'vitest'
import { main } from './main.ts'
import { testIo } from './test-io.ts'

const none = { SLUICE_DATA_DIR: '/no/such/dir', SLUICE_CONTROL_URL: 'http://127.0.0.1:9' }

describe('the command line', () => {
  it('lists its commands without loading any', async () => {
    const io = testIo()
    expect(await main(['--help'], io)).toBe(0)
    expect(io.stdout).toContain('provider ')
  })

  it('tells a person who types nothing, on stderr, and calls it an error', async () => {
    const io = testIo()
    expect(await main([], io)).toBe(1)
    expect(io.stdout).toBe('')
    expect(io.stderr).toContain('Usage: sluice')
  })

  const words = [
    ['apply'],
    ['diff'],
    ['dump'],
    ['archive'],
    ['restore'],
    ['revert'],
    ['spend'],
    ['spend', 'reconcile'],
    ['budget', 'list'],
    ['budget', 'show'],
    ['budget', 'adjust'],
    ['budget', 'watch'],
    ['budget', 'leases'],
    ['budget', 'write-off'],
    ['tail'],
    ['doctor'],
    ['explain'],
    ['schema'],
    ['dashboard'],
    ['up'],
    ['gateway'],
    ['control-plane'],
    ['provider', 'add'],
    ['provider', 'check'],
    ['provider', 'list'],
    ['credential', 'set'],
    ['price', 'import'],
    ['price', 'list'],
    ['plane', 'enroll'],
    ['key', 'issue'],
    ['key', 'rotate'],
    ['key', 'revoke'],
    ['key', 'list'],
    ['webhook', 'secret'],
    ['webhook', 'test'],
    ['alert', 'list'],
  ]
  it.each(words)('shows an example with the help of %s %s', async (...typed) => {
    const io = testIo()
    expect(await main([...typed.filter(Boolean), '--help'], io)).toBe(0)
    expect(io.stdout).toMatch(/Example:\n {2}\S/)
    expect(io.stdout).toContain(`Usage: sluice ${typed.filter(Boolean).join(' ')}`)
  })

  it('takes no option that it does not know: a misspelt --plan-only must not apply', async () => {
    const io = testIo({ env: none })
    expect(await main(['apply', '-f', 'x.yaml', '--plan-onyl'], io)).toBe(1)
    expect(io.stderr).toContain("Unknown option '--plan-onyl'")
    expect(io.stderr).toContain('sluice apply --help')
  })

  it('refuses words that are too many, values that do not exist, and commands that do not', async () => {
    for (const [argv, what] of [
      [['spend', 'more'], 'There is no place for "more"'],
      [['spend', '-o', 'xml'], '--output is one of table, json, yaml, name'],
      [['spnd'], 'There is no command "spnd"'],
      [['key', 'forge'], 'There is no command "key forge"'],
      [['key', 'revoke', 'a'], '--reason is missing'],
      [['budget', 'adjust', 'b', '-20'], '--reason is missing'],
      [['budget', 'adjust', 'b', '-x', '--reason', 'r'], "Unknown option '-x'"],
      [['budget', 'adjust', 'b', '+x', '--reason', 'r'], 'is no amount'],
      [['budget', 'adjust', 'b', '+-5', '--reason', 'r'], 'is no amount'],
      [['key', 'issue'], 'name is missing'],
      [['toString'], 'There is no command'],
      [['schema', 'Nothing'], 'There is no kind "Nothing"'],
      [['dump', '--kind', 'Nothing'], 'There is no kind "Nothing"'],
      [['spend', '--by', 'colour'], '--by has no "colour"'],
    ] as const) {
      const io = testIo({ env: none })
      expect(await main(argv, io)).toBe(1)
      expect(io.stderr).toContain(what)
      expect(io.stdout).toBe('')
    }
  })

  it('says what is wrong with the settings before anything else', async () => {
    const io = testIo({ env: { SLUICE_PORT: 'x' } })
    expect(await main(['spend'], io)).toBe(1)
    expect(io.stderr).toContain('BAD_SETTING SLUICE_PORT is a port')
  })

  it('says what to do where there is no token, or nobody answers', async () => {
    const io = testIo({ env: none })
    expect(await main(['spend'], io)).toBe(1)
    expect(io.stderr).toContain('NO_TOKEN')
    const other = testIo({ env: { ...none, SLUICE_ADMIN_TOKEN: 'sla_x' } })
    expect(await main(['spend', '-o', 'json'], other)).toBe(1)
    expect(JSON.parse(other.stderr).errors[0]).toMatchObject({
      code: 'UNREACHABLE',
      advice: expect.stringContaining('doctor'),
    })
  })

  it('asks for what a provider needs beside its key', async () => {
    const wanted = { anthropic: 'needs a key', azure: '--url is missing', bedrock: '--region is missing' }
    for (const [name, sentence] of Object.entries(wanted)) {
      const io = testIo({ env: none })
      expect(await main(['provider', 'add', name], io)).toBe(1)
      expect(io.stderr).toContain(sentence)
    }
  })

  it('takes no secret as an argument, and does not repeat it', async () => {
    const io = testIo({ env: none })
    expect(await main(['provider', 'add', 'openai', '--key', 'sk-proj-abcdef'], io)).toBe(1)
    expect(io.stderr).toContain('SECRET_IN_ARGUMENT')
    expect(io.stderr).not.toContain('abcdef')
  })

  it('prints both schemas', async () => {
    const io = testIo()
    expect(await main(['schema', 'PriceSheet'], io)).toBe(0)
    expect(JSON.parse(io.stdout).title).toBe('PriceSheet')
    const sdl = testIo()
    expect(await main(['schema', '--sdl'], sdl)).toBe(0)
    expect(sdl.stdout).toContain('type Query {')
  })

  it('colours nothing where there is no terminal', async () => {
    const io = testIo({ env: none })
    await main(['spend'], io)
    expect(io.stderr).not.toContain('\u001b')
    const terminal = testIo({ env: none, isStderrTty: true })
    await main(['spend'], terminal)
    expect(terminal.stderr).toContain('\u001b')
  })
})
