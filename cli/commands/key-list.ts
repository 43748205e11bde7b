import { openClient } from '../api/client.ts'
import { listAll } from '../api/list.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { formatTable } from '../output/table.ts'
import { isFailed } from '../trouble.ts'
import { type ApiKey, keyFields } from './key-options.ts'

export default command({
  name: 'key list',
  description: 'Shows keys with their state. Secrets cannot be shown.',
  example: 'sluice key list\nsluice key list -o json',
  options: { all: { type: 'boolean', description: 'revoked and expired ones too' } },
  async run({ options, format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const found = await listAll<ApiKey>(client, 'apiKey', keyFields)
    if (isFailed(found)) return found
    const keys = found.filter(({ state }) => options.all || state === 'ACTIVE' || state === 'ROTATING')
    show(io, format, {
      data: keys,
      names: () => keys.map(({ handle }) => handle),
      table: () =>
        formatTable(keys, [
          { title: 'KEY', value: ({ name }) => name },
          { title: 'BEGINS', value: ({ prefix }) => `${prefix}…` },
          { title: 'STATE', value: ({ state }) => state.toLowerCase() },
          { title: 'FOR', value: ({ project, principal }) => project?.handle ?? principal.handle },
          { title: 'EXPIRES', value: ({ expiresAt }) => expiresAt ?? 'never' },
          { title: 'LAST USED', value: ({ lastUsedAt }) => lastUsedAt ?? 'never' },
        ]),
    })
    return 0
  },
})
