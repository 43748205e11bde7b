/** `bun run check`: everything that must hold before a change is shared, in the order in which it fails fastest. */
import { join } from 'node:path'

const root = join(import.meta.dir, '..')
const bin = (name: string) => join(root, 'node_modules/.bin', name)
const bun = process.execPath
const rooms = ['schema', 'data-plane', 'air-gap', 'adapters', 'control-plane', 'cli', 'test']

interface Step {
  name: string
  command: string[]
}

const steps: Step[] = [
  { name: 'lock file names no host', command: ['sh', '-c', '! grep -nE "https?://" bun.lock'] },
  { name: 'format and lint', command: [bin('biome'), 'ci', '--error-on-warnings', '.'] },
  { name: 'types', command: [bun, join(root, 'node_modules/typescript-native/bin/tsc')] },
  {
    name: 'import directions',
    command: [bun, '--bun', bin('depcruise'), '--config', '.dependency-cruiser.json', ...rooms],
  },
  { name: 'API against the released one', command: [bun, 'test/released-schema.ts'] },
  { name: 'tests', command: [bun, 'run', 'test', ...process.argv.slice(2)] },
]

for (const { name, command } of steps) {
  const startedMs = performance.now()
  const child = Bun.spawn(command, { cwd: root, stdio: ['inherit', 'inherit', 'inherit'], env: process.env })
  const code = await child.exited
  const took = `${((performance.now() - startedMs) / 1000).toFixed(1)} s`
  if (code !== 0) {
    process.stderr.write(`check: ${name} failed after ${took}. Nothing after it was run.\n`)
    process.exit(1)
  }
  process.stderr.write(`check: ${name}: ok in ${took}\n`)
}
