import { openClient } from '../api/client.ts'
import { listBudgets } from '../budgets/balances.ts'
import { formatBudgets } from '../budgets/report.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { isFailed } from '../trouble.ts'

export default command({
  name: 'budget list',
  description: 'Shows every budget, with a bar for each counter: what is spent, leased to gateways, and available.',
  example: 'sluice budget list\nsluice budget list -o json',
  async run({ format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const budgets = await listBudgets(client)
    if (isFailed(budgets)) return budgets
    show(io, format, {
      data: budgets,
      names: () => budgets.map(({ handle }) => handle),
      table: () => formatBudgets(budgets, io),
    })
    return 0
  },
})
