import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { configSchema } from '../../control-plane/graphql/config-schema.ts'
import { kindList, kindOf, kinds } from '../../schema/handles.ts'
import { command } from '../command.ts'
import { failed } from '../trouble.ts'

export default command({
  name: 'schema',
  description: 'Prints the JSON Schema of config files, for editors; or with --sdl the GraphQL schema.',
  example: 'sluice schema > sluice.schema.json\nsluice schema Project\nsluice schema --sdl',
  positionals: [{ name: 'kind', description: `one of ${kindList.map((kind) => kinds[kind].type).join(', ')}` }],
  options: { sdl: { type: 'boolean', description: 'the GraphQL schema instead' } },
  format: null,
  inTenant: false,
  async run({ positionals: [word], options }, io) {
    if (options.sdl) {
      io.out(readFileSync(join(import.meta.dirname, '../../schema/schema.graphql'), 'utf8'))
      return 0
    }
    const kind = word === undefined ? undefined : kindOf(word)
    if (word !== undefined && !kind)
      return failed('USAGE', `There is no kind ${JSON.stringify(word)}.`, {
        advice: `kinds are ${kindList.map((one) => kinds[one].type).join(', ')}`,
      })
    io.out(`${JSON.stringify(configSchema(kind), null, 2)}\n`)
    return 0
  },
})
