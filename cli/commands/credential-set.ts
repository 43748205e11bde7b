import { type Client, openClient } from '../api/client.ts'
import { refOf } from '../api/refs.ts'
import { errorFields, idempotencyKey, type UserError, write } from '../api/write.ts'
import { readSecret } from '../catalogue/secret.ts'
import { command } from '../command.ts'
import type { ExitCode, Io } from '../io.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'

interface Payload {
  errors: UserError[]
  credential: { handle: string; version: number; fingerprint: string } | null
}

const document = `mutation Set($input: CredentialSetInput!) {
  write: credentialSet(input: $input) { ${errorFields} credential { handle version fingerprint } }
}`

export default command({
  name: 'credential set',
  description:
    'Stores the secret of a credential, sealed; it can never be read again. The secret comes from stdin, or from a variable.',
  example: 'sluice credential set openai < key.txt\nsluice credential set openai --from env:OPENAI_API_KEY',
  positionals: [{ name: 'credential', description: 'name, handle or id', required: true }],
  options: {
    from: { type: 'string', hint: 'env:NAME', description: 'a variable of this shell instead of stdin' },
    reason: { type: 'string', hint: 'text', description: 'kept in the audit log' },
  },
  format: null,
  async run({ positionals, options }, io) {
    const secret = await secretFrom(options.from, io)
    if (isFailed(secret)) return secret
    const client = openClient(io)
    if (isFailed(client)) return client
    return storeSecret(client, refOf('credential', positionals[0]!), secret, io, options.reason)
  },
})

async function secretFrom(from: string | undefined, io: Io): Promise<string | Failed> {
  if (from === undefined) return readSecret(io, 'Secret')
  const [, name] = /^env:([A-Za-z_][A-Za-z0-9_]*)$/.exec(from) ?? []
  if (!name) return failed('USAGE', '--from is env:NAME. A secret itself is never an argument.')
  return io.env[name] || failed('NO_SECRET', `${name} is not set in this shell.`)
}

/** Sends a secret, once however often it has to be sent. */
export async function storeSecret(
  client: Client,
  credential: string,
  secret: string,
  io: Io,
  reason?: string,
): Promise<ExitCode | Failed> {
  const input = { idempotencyKey: idempotencyKey(), credential, secret, reason }
  const payload = await write<Payload>(client, document, input, { retry: 'ALWAYS' })
  if (isFailed(payload)) return payload
  const { handle, version, fingerprint } = payload.credential!
  io.err(`${handle}: version ${version} is stored, fingerprint ${fingerprint}.\n`)
  return 0
}
