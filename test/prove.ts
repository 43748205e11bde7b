/** `bun run prove NAME [--quick | --full]`: runs one proof; `bun run prove` lists them. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Proof } from './prove/parts/proof.ts'

const folder = join(import.meta.dir, 'prove')
const names = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .map((file) => file.slice(0, -3))
  .sort()

const load = async (name: string): Promise<Proof> => (await import(join(folder, `${name}.ts`))).default

const [name, ...flags] = process.argv.slice(2)
if (!name || name.startsWith('-')) {
  console.log('usage: bun run prove NAME [--quick | --full]      e.g. bun run prove main-job --quick\n')
  for (const each of names) console.log(`  ${each.padEnd(14)} ${(await load(each)).shows}`)
  process.exit(name === undefined || name === '--help' ? 0 : 1)
}
if (!names.includes(name)) {
  console.error(`There is no proof '${name}'. There are: ${names.join(', ')}.`)
  process.exit(1)
}

const length = flags.includes('--quick') ? 'quick' : flags.includes('--full') ? 'full' : 'default'
const startedMs = performance.now()
const say = (sentence: string) =>
  console.error(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${sentence}`)
const { figures, short } = await (await load(name)).run({ length, say })
for (const sentence of short) console.error(`short: ${sentence}`)
const told = Object.entries({ ...figures, seconds: ((performance.now() - startedMs) / 1000).toFixed(1) })
console.log(
  `${name}: ${short.length === 0 ? 'ok' : 'short'} ${told.map(([key, value]) => `${key}=${value}`).join(' ')}`,
)
process.exit(short.length === 0 ? 0 : 1)
