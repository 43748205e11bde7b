import { openClient } from '../api/client.ts'
import { refOf } from '../api/refs.ts'
import { errorFields, idempotencyKey, type UserError, write } from '../api/write.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { failed, isFailed } from '../trouble.ts'
import { formatLeases, type Lease, leaseFields } from './budget-leases.ts'

const document = `mutation WriteOff($input: LeaseWriteOffInput!) {
  write: leaseWriteOff(input: $input) { ${errorFields} leases { budget { handle } ${leaseFields} } }
}`

export default command({
  name: 'budget write-off',
  description:
    'Gives up on the money of a gateway that will not come back: what it has not reported counts as spent. Should it come back after all, its records replace that.',
  example:
    'sluice budget write-off ins_0197… --reason "the machine is gone"\nsluice budget write-off ins_0197… --budget monthly --yes --reason "disk lost"',
  positionals: [{ name: 'instance', description: 'id, as `sluice budget leases` shows it', required: true }],
  options: {
    reason: { type: 'string', hint: 'text', required: true, description: 'kept in the audit log' },
    budget: { type: 'string', hint: 'budget', description: 'only what it holds of this one' },
    yes: { type: 'boolean', short: 'y', description: 'do not ask' },
  },
  async run({ positionals, options, format }, io) {
    const instance = positionals[0]!
    const client = openClient(io)
    if (isFailed(client)) return client
    if (!options.yes) {
      if (!io.isStdinTty || !io.isStderrTty)
        return failed('NOT_CONFIRMED', 'Nobody can be asked here.', { advice: '--yes does it without asking' })
      if (!(await io.confirm(`Count what ${instance} has not reported as spent?`))) {
        io.err('Nothing was changed.\n')
        return 3
      }
    }
    const budget = options.budget === undefined ? null : refOf('budget', options.budget)
    const input = { idempotencyKey: idempotencyKey(), instance, budget, reason: options.reason }
    const payload = await write<{ errors: UserError[]; leases: Lease[] }>(client, document, input, { retry: 'ALWAYS' })
    if (isFailed(payload)) return payload
    const { leases } = payload
    show(io, format, {
      data: leases,
      names: () => leases.flatMap((lease) => (lease.instance ? [lease.instance.id] : [])),
      table: () => (leases.length > 0 ? formatLeases(leases) : 'It held no money.\n'),
    })
    return 0
  },
})
