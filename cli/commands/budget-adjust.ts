import { parseDuration } from '../../schema/duration.ts'
import { formatAmount, parseAmount } from '../../schema/money.ts'
import { openClient } from '../api/client.ts'
import { refOf } from '../api/refs.ts'
import { errorFields, idempotencyKey, type UserError, write } from '../api/write.ts'
import { type Balance, balanceFields } from '../budgets/balances.ts'
import { formatBalance } from '../budgets/report.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { failed, isFailed } from '../trouble.ts'

interface Payload {
  errors: UserError[]
  budget: { handle: string } | null
  balance: Balance | null
  adjustment: { id: string; amount: { amount: string; currency: string }; expiresAt: string | null } | null
}

const document = `mutation Adjust($input: BudgetAdjustInput!) {
  write: budgetAdjust(input: $input) {
    ${errorFields}
    budget { handle } balance { ${balanceFields} }
    adjustment { id amount { amount currency } expiresAt }
  }
}`
const currencyDocument = 'query Currency { viewer { tenant { currency } } }'

export default command({
  name: 'budget adjust',
  description: 'Adds money to a budget, or takes it away, for the present window. The reason is in the audit log.',
  example: [
    'sluice budget adjust monthly +50 --reason "launch week"',
    'sluice budget adjust monthly -20 --reason "moved to the other team"',
    'sluice budget adjust per-key +5 --subject api-key/ci --expires 2d --reason "load test"',
  ].join('\n'),
  positionals: [
    { name: 'budget', description: 'name, handle or id', required: true },
    { name: 'amount', description: "in the tenant's currency, such as +50 or -20", required: true },
  ],
  options: {
    reason: { type: 'string', hint: 'text', required: true, description: 'kept in the audit log' },
    subject: { type: 'string', hint: 'ref', description: 'whose counter, where the budget has several' },
    expires: { type: 'string', hint: '2d', description: 'a duration from now or an instant; default: with the window' },
  },
  async run({ positionals, options, format }, io) {
    const typed = positionals[1]!
    const amount = parseAmount(typed.replace(/^\+(?=\d)/, '').replace(/^−/, '-'))
    if (amount === undefined || amount === 0n)
      return failed('USAGE', `${JSON.stringify(typed)} is no amount; +50 and -20 are.`)
    const expiresAt = options.expires === undefined ? null : instantOf(options.expires, io.now())
    if (expiresAt === undefined)
      return failed('USAGE', '--expires is a duration such as 2d, or an instant such as 2026-12-01T00:00:00Z.')
    const client = openClient(io)
    if (isFailed(client)) return client
    const viewer = await client.ask<{ viewer: { tenant: { currency: string } } }>(currencyDocument)
    if (isFailed(viewer)) return viewer
    const { currency } = viewer.viewer.tenant
    const input = {
      ...{
        idempotencyKey: idempotencyKey(),
        budget: refOf('budget', positionals[0]!),
        subject: options.subject ?? null,
      },
      ...{ amount: { amount: formatAmount(amount), currency }, expiresAt, reason: options.reason },
    }
    const payload = await write<Payload>(client, document, input, { retry: 'ALWAYS' })
    if (isFailed(payload)) return payload
    const { errors: _, ...done } = payload
    show(io, format, {
      data: done,
      names: () => [done.adjustment!.id],
      table: () =>
        `${done.budget!.handle} ${amount > 0n ? '+' : ''}${formatAmount(amount)} ${currency}\n${formatBalance(done.balance!, io)}`,
    })
    return 0
  },
})

function instantOf(typed: string, nowMs: number): string | undefined {
  const ms = parseDuration(typed)
  const at = ms === undefined ? Date.parse(/^\d{4}-\d{2}-\d{2}/.test(typed) ? typed : '') : nowMs + ms
  return Number.isNaN(at) ? undefined : new Date(at).toISOString()
}
