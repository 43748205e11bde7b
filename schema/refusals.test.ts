import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { type RefusalCode, refusalMessage, refusals, refuse } from './refusals.ts'

const root = join(import.meta.dirname, '..')
const codes = Object.keys(refusals) as RefusalCode[]
const sources = ['data-plane', 'adapters']
  .flatMap((room) =>
    readdirSync(join(root, room), { recursive: true, encoding: 'utf8' }).map((file) => join(root, room, file)),
  )
  .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
  .map((file) => readFileSync(file, 'utf8'))
  .join('\n')
const documentation = readFileSync(join(root, 'schema/README.md'), 'utf8')

/** The line that the README has of a code. */
const lineOf = (code: RefusalCode) => {
  const { class: kind, status, retry, fixedBy, sentence } = refusals[code]
  return `| \`${code}\` | ${kind} | ${status} | ${retry ? 'yes' : 'no'} | ${fixedBy} | ${sentence} |`
}

describe('the table of refusals', () => {
  it('is documented, line by line, and nothing else is', () => {
    const documented = documentation
      .split('\n')
      .filter((line) => /^\| `[a-z_]+` \| (caller|identity|policy|limit|upstream|gateway) /.test(line))
    expect(documented).toEqual(codes.map(lineOf))
  })
  it('holds no code that nothing can answer', () => {
    expect(codes.filter((code) => !sources.includes(`'${code}'`))).toEqual([])
  })
  it('tells a status, a sentence, and a retry only where trying again can help', () => {
    for (const code of codes) {
      const { status, sentence, class: kind, retry } = refusals[code]
      expect(status).toBeGreaterThanOrEqual(400)
      expect(sentence).toMatch(/^[A-Z].*\.$/)
      if (kind === 'caller' || kind === 'identity') expect(retry).toBe(false)
    }
  })
  it('adds what is particular to the case behind its own sentence', () => {
    expect(refusalMessage(refuse('too_large', 'The limit is 1 byte.'))).toBe(
      `${refusals.too_large.sentence} The limit is 1 byte.`,
    )
  })
})
