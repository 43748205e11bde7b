import { openClient } from '../api/client.ts'
import { readLabels } from '../api/refs.ts'
import { command } from '../command.ts'
import { loadFiles } from '../files/load.ts'
import { locateIn } from '../files/plan.ts'
import { failed, isFailed } from '../trouble.ts'
import { manner, planAndApply } from './apply-plan.ts'

export default command({
  name: 'apply',
  description: 'Plans what the files declare, shows the plan, asks, and applies exactly that plan or nothing.',
  example: 'sluice apply -f config/\nsluice apply -f project.yaml --prune managed-by=ci --yes',
  options: {
    file: {
      type: 'string',
      short: 'f',
      many: true,
      hint: 'path',
      description: 'file, directory or - (stdin); repeatable',
    },
    prune: { type: 'string', hint: 'label=value', description: 'archive what carries these labels and is in no file' },
    ...manner,
  },
  async run({ options, format }, io) {
    const prune = options.prune === undefined ? null : readLabels(options.prune)
    if (prune && 'wrong' in prune) return failed('USAGE', `--prune ${prune.wrong}.`)
    const resources = await loadFiles(io, options.file)
    if (isFailed(resources)) return resources
    const client = openClient(io)
    if (isFailed(client)) return client
    const wanted = { resources, prune, reason: options.reason, locate: locateIn(resources) }
    const stdinUsed = options.file.includes('-')
    return planAndApply(io, client, wanted, { format, yes: options.yes, planOnly: options['plan-only'], stdinUsed })
  },
})
