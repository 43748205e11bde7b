import { openClient } from '../api/client.ts'
import { errorFields, idempotencyKey, type UserError, write } from '../api/write.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { isFailed } from '../trouble.ts'

interface Enrolled {
  errors: UserError[]
  dataPlane: { handle: string } | null
  enrollmentToken: string | null
}

const document = /* GraphQL */ `mutation ($input: DataPlaneEnrollInput!) {
  write: dataPlaneEnroll(input: $input) { ${errorFields} dataPlane { handle } enrollmentToken }
}`

export default command({
  name: 'plane enroll',
  description:
    'Declares a fleet of gateways, or takes one that is there, and writes a token for it to stdout, this once. Each gateway started with the token becomes an instance of the fleet.',
  example: 'sluice plane enroll edge > plane-token && SLUICE_PLANE_TOKEN_FILE=plane-token sluice gateway',
  positionals: [{ name: 'name', description: 'name of the fleet', required: true }],
  options: {
    also: {
      type: 'string',
      many: true,
      hint: 'tenant',
      description: 'another tenant that these gateways serve, by id or name; for operators of the installation',
    },
    reason: { type: 'string', hint: 'text', description: 'kept in the audit log' },
  },
  async run({ positionals, options, format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const input = {
      idempotencyKey: idempotencyKey(),
      name: positionals[0]!,
      adapter: 'STANDALONE',
      tenants: options.also.length > 0 ? options.also : undefined,
      reason: options.reason,
    }
    const payload = await write<Enrolled>(client, document, input, { retry: 'ALWAYS' })
    if (isFailed(payload)) return payload
    const { dataPlane, enrollmentToken } = payload
    show(io, format, {
      data: { dataPlane: dataPlane!.handle, enrollmentToken },
      table: () => `${enrollmentToken}\n`,
      names: () => [dataPlane!.handle],
    })
    io.err(`A token for ${dataPlane!.handle}. It is not shown again.\n`)
    return 0
  },
})
