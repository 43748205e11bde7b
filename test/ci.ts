/** What `.ci/run` runs once Bun is there: the check, then every proof in its quick form; the last line counts what held. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const root = join(import.meta.dir, '..')
/** A proof joins with the commit that makes it true. */
const proofs = [
  'main-job',
  'tenancy',
  'crash',
  'link',
  'subscriptions',
  'providers',
  'limits',
  'spend-alerts',
  'budgets',
]

const scratch = mkdtempSync(join(tmpdir(), 'sluice-ci-'))
const report = join(scratch, 'tests.json')
let passed = 0
let failed = 0

const run = async (name: string, command: string[]): Promise<boolean> => {
  console.log(`\n── ${name}`)
  const startedMs = performance.now()
  const child = Bun.spawn(command, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'], env: process.env })
  const ok = (await child.exited) === 0
  console.log(`── ${name}: ${ok ? 'ok' : 'failed'} in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
  if (ok) passed++
  else failed++
  return ok
}

await run('real components', [process.execPath, 'test/real/setup.ts'])
await run('check', [
  process.execPath,
  'run',
  'check',
  '--reporter=default',
  '--reporter=json',
  `--outputFile.json=${report}`,
])
countTests()
for (const proof of proofs) await run(`prove ${proof}`, [process.execPath, 'run', 'prove', proof, '--quick'])
rmSync(scratch, { recursive: true })
console.log(`\n${passed} passed, ${failed} failed`)
process.exit(failed === 0 ? 0 : 1)

/** Tests count one by one; a check that stopped before them counts only as itself. */
function countTests(): void {
  try {
    const { numPassedTests, numFailedTests } = JSON.parse(readFileSync(report, 'utf8'))
    passed += numPassedTests
    failed += numFailedTests
  } catch {
    console.log('The tests were not reached.')
  }
}
