import { describe, expect, it } from 'vitest'
import { helpText, readOptions } from './options.ts'

const names = ['bare-plain', 'sluice-plain']

describe('the options of the bench', () => {
  it('take chosen rows, a length and JSON', () => {
    expect(readOptions(['--quick', '--only', 'sluice-plain, bare-plain', '-o', 'json'], names)).toMatchObject({
      only: ['sluice-plain', 'bare-plain'],
      json: true,
      rounds: 3,
    })
  })

  it.each([
    [['--only', 'nothing'], 'No row nothing; there are bare-plain, sluice-plain.'],
    [['--quick', '--full'], 'Say --quick or --full, not both.'],
    [['-o', 'xml'], 'The output is json or table.'],
  ])('say what is wrong with %j', (args, sentence) => {
    expect(readOptions(args, names)).toBe(sentence)
  })

  it('say what is wrong with an option that does not exist', () => {
    expect(readOptions(['--quik'], names)).toContain('--quik')
  })

  it('name every row in the help, with an example', () => {
    const text = helpText([{ name: 'bare-plain', title: 'Bare proxy' }])
    expect(text).toContain('bare-plain  Bare proxy')
    expect(text).toContain('Example: ')
  })
})
