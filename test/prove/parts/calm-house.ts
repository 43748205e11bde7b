import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { declaration } from './crash-declaration.ts'
import { instantUpstream } from './instant-upstream.ts'
import { startSluice } from './sluice.ts'
import { SteadyLoad } from './steady-load.ts'

/** A Sluice of its own beside the one that is disturbed, with the same load on its one gateway. */
export interface CalmHouse {
  load: SteadyLoad
  stop(): Promise<void>
}

const clients = 4

/** Starts it all in one, with a provider of its own, and begins to ask so often a second. */
export async function calmHouse(folder: string, perSecond: number): Promise<CalmHouse> {
  const upstream = instantUpstream()
  const sluice = await startSluice(join(folder, 'calm'))
  const file = join(folder, 'calm.yaml')
  writeFileSync(file, declaration(upstream.url))
  const command = async (...args: string[]) => {
    const { code, out } = await sluice.command(...args)
    if (code !== 0) throw new Error(`sluice ${args[0]} failed; what it said is above`)
    return out
  }
  await command('apply', '-f', file, '--yes')
  const { secret } = JSON.parse(await command('key', 'issue', 'load', '--project', 'crash', '-o', 'json'))
  const gateway = { url: new URL(sluice.running.gateway).origin, serving: true, kills: 0 }
  const load = new SteadyLoad([gateway], secret, clients, perSecond)
  return {
    load,
    async stop() {
      await load.stop()
      await sluice.stop()
      await upstream.stop()
    },
  }
}
