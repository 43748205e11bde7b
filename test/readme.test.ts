import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Sluice, startSluice } from './prove/parts/sluice.ts'

const root = join(import.meta.dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

/** The commands of a section's first shell block, comments and all; a line that ends in a backslash goes on. */
function commandsOf(heading: string): string[] {
  const section = readme.slice(readme.indexOf(`## ${heading}`))
  const block = /```sh\n([\s\S]*?)```/.exec(section)![1]!
  return block.replaceAll('\\\n', ' ').trim().split('\n')
}

let sluice: Sluice
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-readme-'))
  sluice = await startSluice(join(folder, 'data'))
})
afterAll(async () => {
  await sluice?.stop()
  rmSync(folder, { recursive: true })
})

/** Runs one documented line as it stands, but for the places where this installation is not the default one. */
async function run(line: string): Promise<{ code: number; out: string }> {
  const here = line
    .replaceAll('.sluice/', `${folder}/data/`)
    .replaceAll('localhost:8080/v1', sluice.running.gateway.replace('http://', ''))
    .replaceAll('sluice.yaml', join(folder, 'sluice.yaml'))
    .replaceAll('budget.yaml', join(folder, 'budget.yaml'))
    .replaceAll('npx --yes bun', 'bun')
  const env = {
    ...sluice.env,
    PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
    OPENAI_API_KEY: 'sk-of-nobody',
    KEY: sluice.running.applicationKey,
  }
  const child = Bun.spawn(['bash', '-c', here], { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] })
  return { out: await new Response(child.stdout).text(), code: await child.exited }
}

describe('the README', () => {
  it.each(commandsOf('A first session'))('shows a line that works: %s', async (line) => {
    const { code, out } = await run(line)
    expect(code).toBe(0)
    if (line.startsWith('curl')) expect(JSON.parse(out).choices[0].message.content).toBe('Hello, Sluice!')
    if (line.includes('apply -f sluice.yaml')) expect(out.toLowerCase()).toContain('no change')
    if (line.includes('budget watch')) expect(out).toMatch(/^demo .* of 5\.00 USD/m)
  })

  it('names only scripts that there are', () => {
    const named = [...readme.matchAll(/bun (?:run )?(start|test|check|prove|bench|sluice)\b/g)].map(
      ([, script]) => script!,
    )
    expect(named.length).toBeGreaterThan(5)
    for (const script of named) expect(scripts).toHaveProperty(script)
  })

  it('tells how to start and test in two commands, which the curl line printed at the start completes', async () => {
    expect(commandsOf('Two commands').map((line) => line.split('#')[0]!.trim())).toEqual([
      'npx --yes bun start',
      'npx --yes bun run test',
    ])
    const { gateway, applicationKey, model } = sluice.running
    const answer = await fetch(`${gateway}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${applicationKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello, Sluice!' }] }),
    })
    expect(answer.status).toBe(200)
  })
})
