import { openClient } from '../api/client.ts'
import { refOf } from '../api/refs.ts'
import { write } from '../api/write.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { isFailed } from '../trouble.ts'
import { type KeyPayload, keyWrite } from './key-options.ts'

export default command({
  name: 'key revoke',
  description: 'Ends a key for good, every secret of it, at once.',
  example: 'sluice key revoke ci --reason "leaked in a log"',
  positionals: [{ name: 'key', description: 'name, handle or id', required: true }],
  options: { reason: { type: 'string', hint: 'text', required: true, description: 'kept in the audit log' } },
  async run({ positionals, options, format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const input = { apiKey: refOf('apiKey', positionals[0]!), reason: options.reason }
    // Revoking twice changes nothing.
    const document = keyWrite('apiKeyRevoke', 'ApiKeyRevokeInput')
    const payload = await write<KeyPayload>(client, document, input, { retry: 'ALWAYS' })
    if (isFailed(payload)) return payload
    const { apiKey } = payload
    show(io, format, {
      data: apiKey,
      table: () => `${apiKey!.handle} is ${apiKey!.state.toLowerCase()}.\n`,
      names: () => [apiKey!.handle],
    })
    return 0
  },
})
