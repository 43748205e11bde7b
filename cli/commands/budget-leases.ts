import { openClient } from '../api/client.ts'
import { readBudget } from '../budgets/balances.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { formatTable } from '../output/table.ts'
import { isFailed } from '../trouble.ts'

interface Money {
  amount: string
  currency: string
}
export interface Lease {
  instance: { id: string; host: string | null; state: string } | null
  epoch: string
  subject: string | null
  window: { from: string; to: string }
  granted: Money
  returned: Money
  posted: Money
  presumed: Money
  state: string
}

const money = '{ amount currency }'
export const leaseFields = `instance { id host state } epoch subject window { from to }
  granted ${money} returned ${money} posted ${money} presumed ${money} state`

export default command({
  name: 'budget leases',
  description: 'Shows which gateways hold money of a budget: granted, given back, spent, and presumed spent.',
  example: 'sluice budget leases monthly\nsluice budget leases monthly --all -o json',
  positionals: [{ name: 'budget', description: 'name, handle or id', required: true }],
  options: { all: { type: 'boolean', description: 'those of which nothing is left too' } },
  async run({ positionals, options, format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const fields = `handle leases(first: 100) { nodes { ${leaseFields} } }`
    const budget = await readBudget<{ leases: { nodes: Lease[] } }>(client, positionals[0]!, fields)
    if (isFailed(budget)) return budget
    const leases = budget.leases.nodes.filter(({ state }) => options.all || state !== 'RETURNED')
    show(io, format, {
      data: leases,
      names: () => leases.flatMap(({ instance }) => (instance ? [instance.id] : [])),
      table: () => (leases.length > 0 ? formatLeases(leases) : 'No gateway holds money of it.\n'),
    })
    return 0
  },
})

export const formatLeases = (leases: readonly Lease[]) =>
  formatTable(leases, [
    { title: 'GATEWAY', value: ({ instance }) => instance?.host ?? '(gone)' },
    { title: 'INSTANCE', value: ({ instance, epoch }) => `${instance?.id ?? ''} / ${epoch}` },
    { title: 'FOR', value: ({ subject }) => subject ?? '' },
    { title: 'WINDOW FROM', value: ({ window }) => window.from.slice(0, 16).replace('T', ' ') },
    { title: 'GRANTED', align: 'right', value: ({ granted }) => granted.amount },
    { title: 'RETURNED', align: 'right', value: ({ returned }) => returned.amount },
    { title: 'SPENT', align: 'right', value: ({ posted }) => posted.amount },
    { title: 'PRESUMED', align: 'right', value: ({ presumed }) => (presumed.amount === '0' ? '' : presumed.amount) },
    { title: 'STATE', value: ({ state }) => state.toLowerCase().replaceAll('_', ' ') },
  ])
