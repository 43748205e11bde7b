import { openClient } from '../api/client.ts'
import { refOf } from '../api/refs.ts'
import { errorFields, idempotencyKey, type UserError, write } from '../api/write.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { isFailed } from '../trouble.ts'

interface Payload {
  errors: UserError[]
  webhook: { handle: string } | null
  secret: string | null
  replayed: boolean
}

const document = `mutation Secret($input: WebhookSecretRotateInput!) {
  write: webhookSecretRotate(input: $input) { ${errorFields} webhook { handle } secret replayed }
}`

export default command({
  name: 'webhook secret',
  description:
    'Makes the secret (whsec_…) that deliveries of a webhook are signed with and writes it to stdout, this once. For the overlap they carry the signature of the one before, too.',
  example: 'sluice webhook secret pager > pager.secret\nsluice webhook secret pager --overlap 1d -o json',
  positionals: [{ name: 'webhook', description: 'name, handle or id', required: true }],
  options: {
    overlap: { type: 'string', hint: 'duration', description: 'how long the old secret signs too; default 1h' },
    reason: { type: 'string', hint: 'text', description: 'kept in the audit log' },
  },
  async run({ positionals, options, format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const input = {
      idempotencyKey: idempotencyKey(),
      webhook: refOf('webhook', positionals[0]!),
      overlap: options.overlap ?? 'PT1H',
      reason: options.reason,
    }
    const payload = await write<Payload>(client, document, input, { retry: 'ALWAYS' })
    if (isFailed(payload)) return payload
    const { secret, replayed } = payload
    const { handle } = payload.webhook!
    if (!secret) io.err(`${handle} has it from an earlier attempt; a secret is not shown twice. Make another.\n`)
    show(io, format, {
      data: { webhook: handle, secret, replayed },
      table: () => (secret ? `${secret}\n` : ''),
      names: () => [handle],
    })
    if (secret && format === 'table') io.err(`${handle}: shown once, keep it now.\n`)
    return 0
  },
})
