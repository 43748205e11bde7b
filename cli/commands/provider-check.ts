import { type Client, openClient } from '../api/client.ts'
import { refOf } from '../api/refs.ts'
import { errorFields, type UserError, write } from '../api/write.ts'
import { command } from '../command.ts'
import type { Io } from '../io.ts'
import { show } from '../output/show.ts'
import { type Failed, isFailed } from '../trouble.ts'

interface Finding {
  ok: boolean
  status: number | null
  latencyMs: number | null
  detail: string | null
  models: string[]
  dataPlane: { handle: string } | null
}

const document = `mutation Check($input: ProviderCheckInput!) {
  write: providerCheck(input: $input) { ${errorFields} ok status latencyMs detail models dataPlane { handle } }
}`

export default command({
  name: 'provider check',
  description:
    'Has a gateway call the provider once with its credential, and shows which models it lists. Costs nothing. Exit 1 where it does not work.',
  example: 'sluice provider check openai\nsluice provider check openai --credential openai-eu --plane eu -o json',
  positionals: [{ name: 'provider', description: 'name, handle or id', required: true }],
  options: {
    credential: { type: 'string', hint: 'name', description: 'which one; default: the one that routes take' },
    plane: { type: 'string', hint: 'name', description: 'the fleet whose gateways may call; default: any' },
  },
  async run({ positionals, options, format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const provider = refOf('provider', positionals[0]!)
    const finding = await checkProvider(client, {
      provider,
      ...(options.credential && { credential: refOf('credential', options.credential) }),
      ...(options.plane && { dataPlane: refOf('dataPlane', options.plane) }),
    })
    if (isFailed(finding)) return finding
    show(io, format, {
      data: finding,
      names: () => finding.models,
      table: () => finding.models.map((name) => `${name}\n`).join(''),
    })
    io.err(`${sentenceOf(provider, finding)}\n`)
    return finding.ok ? 0 : 1
  },
})

/** Asking twice does no harm. */
async function checkProvider(client: Client, input: Record<string, string>): Promise<Finding | Failed> {
  const payload = await write<Finding & { errors: UserError[] }>(client, document, input, { retry: 'ALWAYS' })
  if (isFailed(payload)) return payload
  const { errors: _, ...finding } = payload
  return finding
}

function sentenceOf(provider: string, { ok, status, latencyMs, detail, models, dataPlane }: Finding): string {
  const timing = status !== null && latencyMs !== null ? `, ${status} in ${latencyMs} ms` : ''
  const whence = dataPlane ? ` from ${dataPlane.handle}` : ''
  const listed = models.length > 0 ? ` It lists ${models.length} ${models.length === 1 ? 'model' : 'models'}.` : ''
  return `${provider} ${ok ? 'works' : 'does not work'}${whence}${timing}.${listed}${detail ? ` ${detail}` : ''}`
}

/** Tells, as a note, whether what was just declared works; says nothing where no gateway is there to try. */
export async function noteCheck(client: Client, provider: string, io: Io): Promise<void> {
  const finding = await checkProvider(client, { provider })
  if (!isFailed(finding)) return io.err(`Check: ${sentenceOf(provider, finding)}\n`)
  const [trouble] = finding.failed
  if (trouble && trouble.code !== 'NO_GATEWAY') io.err(`Check: not made. ${trouble.message}\n`)
}
