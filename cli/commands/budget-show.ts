import { openClient } from '../api/client.ts'
import { type Balance, type Budget, balanceFields, budgetFields, readBudget } from '../budgets/balances.ts'
import { formatBalance, subjectOf } from '../budgets/report.ts'
import { command } from '../command.ts'
import type { Io } from '../io.ts'
import { paint } from '../output/paint.ts'
import { show } from '../output/show.ts'
import { formatTable, plain } from '../output/table.ts'
import { failed, isFailed } from '../trouble.ts'

interface Adjustment {
  at: string
  kind: string
  amount: { amount: string; currency: string }
  reason: string
  actor: { name: string }
  subject: string | null
  expiresAt: string | null
  endedAt: string | null
}

interface More {
  thresholds: number[]
  waitForFunds: string
  carryOver: boolean
  adjustments: { nodes: Adjustment[] }
  balance?: Balance | null
}

const countersMax = 100
const fields = `${budgetFields(countersMax)} thresholds waitForFunds carryOver
  adjustments(first: 20) { nodes { at kind amount { amount currency } reason actor { name } subject expiresAt endedAt } }`

export default command({
  name: 'budget show',
  description: 'Shows one budget: what is declared, each counter with all its terms, and who adjusted it.',
  example:
    'sluice budget show monthly\nsluice budget show per-key --subject api-key/ci\nsluice budget show monthly -o json',
  positionals: [{ name: 'budget', description: 'name, handle or id', required: true }],
  options: {
    subject: { type: 'string', hint: 'ref', description: 'only this counter: a handle, an id or a label value' },
  },
  async run({ positionals, options, format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const { subject } = options
    const one = subject === undefined ? '' : ` balance(subject: ${JSON.stringify(subject)}) { ${balanceFields} }`
    const budget = await readBudget<More>(client, positionals[0]!, fields + one)
    if (isFailed(budget)) return budget
    if (subject !== undefined && !budget.balance)
      return failed('NOT_FOUND', `${budget.handle} counts no ${JSON.stringify(subject)}.`, {
        advice: `it counts per ${budget.per ?? 'scope'}: name one as kind/name`,
      })
    show(io, format, { data: budget, names: () => [budget.handle], table: () => formatBudget(budget, io) })
    return 0
  },
})

function formatBudget(budget: Budget & More, io: Io): string {
  const colour = paint(io.isStdoutTty, io.env)
  const { limit, per, period, window, onExhausted, timeZone, scope, adjustments } = budget
  const length = period === 'ROLLING' ? `rolling ${window}` : period.toLowerCase()
  const each = per ? `, each ${per.toLowerCase().replaceAll('_', ' ')} by itself` : ''
  const head = `${colour.bold(budget.name)}  ${limit.amount} ${limit.currency} ${length} (${timeZone}) for ${plain(scope.ref)}${each}; then ${onExhausted.toLowerCase()}`
  const shown = budget.balance ? [budget.balance] : budget.balances.nodes
  const balances = shown.map((balance) => formatBalance(balance, io)).join('\n')
  const more =
    !budget.balance && budget.balances.pageInfo.hasNextPage
      ? colour.dim(`The first ${countersMax} counters; --subject shows any.\n`)
      : ''
  const none = shown.length === 0 ? 'Nothing was spent under it yet.\n' : ''
  const table = adjustments.nodes.length > 0 ? `\n${formatAdjustments(adjustments.nodes)}` : ''
  return `${head}\n${none}${balances}${more}${table}`
}

const formatAdjustments = (rows: readonly Adjustment[]) =>
  formatTable(rows, [
    { title: 'ADJUSTED', value: ({ at }) => at.slice(0, 16).replace('T', ' ') },
    {
      title: 'BY',
      align: 'right',
      value: ({ amount }) => `${amount.amount.startsWith('-') ? '' : '+'}${amount.amount}`,
    },
    { title: 'WHO', value: ({ actor }) => actor.name },
    { title: 'FOR', value: ({ subject }) => subjectOf({ subject, resource: null }) },
    {
      title: 'ENDS',
      value: ({ expiresAt, endedAt }) =>
        endedAt ? 'ended' : (expiresAt?.slice(0, 16).replace('T', ' ') ?? 'with the window'),
    },
    { title: 'WHY', value: ({ reason }) => reason },
  ])
