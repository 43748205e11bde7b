import { openClient } from '../api/client.ts'
import { refOf } from '../api/refs.ts'
import { idempotencyKey, write } from '../api/write.ts'
import { command } from '../command.ts'
import { isFailed } from '../trouble.ts'
import { type KeyPayload, keyWrite, showSecret } from './key-options.ts'

export default command({
  name: 'key rotate',
  description:
    'Makes a new secret for a key and writes it to stdout, this once. The old one goes on working for the overlap.',
  example: 'sluice key rotate ci --overlap 1d',
  positionals: [{ name: 'key', description: 'name, handle or id', required: true }],
  options: {
    overlap: { type: 'string', hint: 'duration', description: 'how long the old secret goes on working; default 1h' },
    reason: { type: 'string', hint: 'text', description: 'kept in the audit log' },
  },
  async run({ positionals, options, format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const input = {
      idempotencyKey: idempotencyKey(),
      apiKey: refOf('apiKey', positionals[0]!),
      overlap: options.overlap ?? 'PT1H',
      reason: options.reason,
    }
    const document = keyWrite('apiKeyRotate', 'ApiKeyRotateInput', 'secret replayed')
    const payload = await write<KeyPayload>(client, document, input, { retry: 'ALWAYS' })
    if (isFailed(payload)) return payload
    showSecret(io, format, payload)
    return 0
  },
})
