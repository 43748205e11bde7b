import { openClient } from '../api/client.ts'
import { command } from '../command.ts'
import { isFailed } from '../trouble.ts'
import { manner, planAndApply } from './apply-plan.ts'

/** `archive` and `restore`: both take references, and go the way of every change. */
export function retireCommand(verb: 'archive' | 'restore', told: { description: string; example: string }) {
  return command({
    name: verb,
    ...told,
    positionals: [{ name: 'refs', description: 'kind/name or id, such as alias/chat', required: true, many: true }],
    options: manner,
    async run({ positionals, options, format }, io) {
      const client = openClient(io)
      if (isFailed(client)) return client
      const refs = positionals.filter((ref) => ref !== undefined)
      const locate = ([list, index]: readonly string[]) => (list === 'refs' ? refs[Number(index)] : undefined)
      const wanted = { retire: verb, refs, reason: options.reason, locate }
      return planAndApply(io, client, wanted, { format, yes: options.yes, planOnly: options['plan-only'] })
    },
  })
}
