import { parseArgs } from 'node:util'
import { installChromium } from './chromium.ts'
import { installModelServer } from './model-server.ts'
import { installNginx } from './nginx.ts'
import { installPortkey } from './portkey.ts'
import { installPostgres, installPostgres14 } from './postgres.ts'
import { installRedis } from './redis.ts'
import { installWrk } from './wrk.ts'

/** Every component that is installed, by the name `--only` knows. */
const installs: Record<string, () => Promise<string>> = {
  'model-server': installModelServer,
  postgres: installPostgres,
  'postgres-14': installPostgres14,
  chromium: installChromium,
  wrk: installWrk,
  nginx: installNginx,
  redis: installRedis,
  portkey: installPortkey,
}

/** Prepares the named components, one after the other; the exit code is 1 when one is missing, after trying all. */
async function setup(names: string[]): Promise<number> {
  let failures = 0
  for (const name of names) {
    const startedAt = performance.now()
    try {
      const place = await installs[name]!()
      console.error(`real: ${name} ready in ${((performance.now() - startedAt) / 1000).toFixed(1)} s: ${place}`)
    } catch (cause) {
      failures++
      console.error(`real: ${name}: ${cause instanceof Error ? cause.message : cause}`)
    }
  }
  return failures === 0 ? 0 : 1
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { only: { type: 'string' } } })
  const names = values.only?.split(',') ?? Object.keys(installs)
  const unknown = names.filter((name) => !(name in installs))
  if (unknown.length > 0)
    console.error(`No component ${unknown.join(', ')}; there are ${Object.keys(installs).join(', ')}.`)
  process.exitCode = unknown.length > 0 ? 1 : await setup(names)
}
