import { openClient } from '../api/client.ts'
import { readLabels } from '../api/refs.ts'
import { command } from '../command.ts'
import { loadFiles } from '../files/load.ts'
import { isUnchanged, locateIn, makePlan } from '../files/plan.ts'
import { formatPlan } from '../output/plan.ts'
import { show } from '../output/show.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'

export default command({
  name: 'diff',
  description: 'Compares files with what is declared: exit 0 where they agree, 2 where they differ, 1 on errors.',
  example: 'sluice diff -f config/ && echo "no drift"',
  options: {
    file: {
      type: 'string',
      short: 'f',
      many: true,
      hint: 'path',
      description: 'file, directory or - (stdin); repeatable',
    },
    prune: {
      type: 'string',
      hint: 'label=value',
      description: 'also count what carries these labels and is in no file',
    },
  },
  async run({ options, format }, io) {
    const prune = options.prune === undefined ? null : readLabels(options.prune)
    if (prune && 'wrong' in prune) return failed('USAGE', `--prune ${prune.wrong}.`)
    const resources = await loadFiles(io, options.file)
    if (isFailed(resources)) return resources
    const client = openClient(io)
    if (isFailed(client)) return client
    const planned = await makePlan(client, { resources, prune, locate: locateIn(resources) })
    // 1 always means error here, so that a pipeline never takes a refusal for drift.
    if (isFailed(planned)) return { ...planned, exit: 1 } satisfies Failed
    show(io, format, {
      data: planned,
      table: () => formatPlan(io, planned.plan),
      names: () => planned.plan.changes.filter(({ action }) => action !== 'UNCHANGED').map(({ ref }) => ref),
    })
    return isUnchanged(planned.plan) ? 0 : 2
  },
})
