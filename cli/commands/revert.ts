import { openClient } from '../api/client.ts'
import { command } from '../command.ts'
import { failed, isFailed } from '../trouble.ts'
import { manner, planAndApply } from './apply-plan.ts'

export default command({
  name: 'revert',
  description:
    'Declares again what an earlier revision declared, as a new revision. Keys issued since and all secrets stay; the plan says so.',
  example: 'sluice revert 41 --plan-only\nsluice revert 41 --reason "the new route was slow"',
  positionals: [
    { name: 'revision', description: 'number of a revision, as apply and the audit log tell', required: true },
  ],
  options: manner,
  async run({ positionals, options, format }, io) {
    const typed = positionals[0]!
    const toRevision = /^[1-9]\d{0,14}$/.test(typed) ? Number(typed) : undefined
    if (toRevision === undefined) return failed('USAGE', `${JSON.stringify(typed)} is no number of a revision.`)
    const client = openClient(io)
    if (isFailed(client)) return client
    const wanted = { toRevision, reason: options.reason }
    return planAndApply(io, client, wanted, { format, yes: options.yes, planOnly: options['plan-only'] })
  },
})
