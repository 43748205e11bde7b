/** `bun run test [vitest arguments]`: every test but the proofs. Vitest runs on Bun itself, in threads. */
import { join } from 'node:path'

const root = join(import.meta.dir, '..')
const vitest = join(root, 'node_modules/vitest/vitest.mjs')
const child = Bun.spawn([process.execPath, '--bun', vitest, 'run', '--root', root, ...process.argv.slice(2)], {
  stdio: ['inherit', 'inherit', 'inherit'],
  env: process.env,
})
process.exit(await child.exited)
