import { formatAmount } from '../../schema/money.ts'
import type { Io } from '../io.ts'
import { paint } from '../output/paint.ts'
import { stackedBar } from '../output/stacked.ts'
import { plain } from '../output/table.ts'
import { type Balance, type Budget, figuresOf, percentOf } from './balances.ts'

type Screen = Pick<Io, 'env' | 'isStdoutTty' | 'width'>

export const subjectOf = ({ subject, resource }: Pick<Balance, 'subject' | 'resource'>): string =>
  resource ? resource.handle : (subject ?? '')

/** `monthly · api-key/ci`: a counter's name. */
export const counterName = ({ name }: Pick<Budget, 'name'>, balance: Balance | null): string =>
  balance?.subject ? `${name} · ${subjectOf(balance)}` : name

interface Line {
  name: string
  balance: Balance | null
  note: string
}

/** A line for each counter, with a bar of what is spent (█), leased to gateways (▒) and left (░). */
export function formatBudgets(budgets: readonly Budget[], io: Screen): string {
  const colour = paint(io.isStdoutTty, io.env)
  if (budgets.length === 0) return 'There is no budget: spending is unlimited.\n'
  const lines = budgets.flatMap(linesOf)
  const cells = lines.map((line) => cellsOf(line))
  const widths = [0, 1, 2, 3].map((column) => Math.max(...cells.map((row) => Bun.stringWidth(row[column]!))))
  const barWidth = Math.max(8, Math.min(40, io.width - widths.reduce((sum, width) => sum + width, 0) - 16))
  const rows = lines.map(({ balance, note }, at) => {
    const [name, spent, whole, percent] = cells[at]!
    const money = balance
      ? `${spent!.padStart(widths[1]!)} of ${whole!.padStart(widths[2]!)}  ${percent!.padStart(widths[3]!)}`
      : ''
    const drawn = balance ? drawnBar(balance, barWidth, colour) : ''
    return [`${name}${' '.repeat(widths[0]! - Bun.stringWidth(name!))}`, drawn, money, colour.dim(note)]
      .filter(Boolean)
      .join('  ')
      .trimEnd()
  })
  const key = `${colour.cyan('█')} spent  ${colour.yellow('▒')} leased to gateways  ░ available`
  return `${rows.join('\n')}\n${colour.dim(key)}\n`
}

function linesOf(budget: Budget): Line[] {
  const { nodes, pageInfo } = budget.balances
  const told = nodes.map((balance, at) => ({
    name: counterName(budget, balance),
    balance,
    note: at === 0 ? noteOf(budget, balance) : '',
  }))
  if (nodes.length === 0)
    return [
      {
        name: budget.name,
        balance: null,
        note: `${budget.limit.amount} ${budget.limit.currency} per ${perOf(budget)}; nothing was spent yet`,
      },
    ]
  if (!pageInfo.hasNextPage) return told
  return [...told, { name: `${budget.name} · …`, balance: null, note: `more; sluice budget show ${budget.name}` }]
}

const perOf = ({ per }: Budget) => (per ?? 'scope').toLowerCase().replaceAll('_', ' ')

/** `until 2026-12-01`, and what happens then where that is not BLOCK. */
function noteOf({ onExhausted, period }: Budget, { window }: Balance): string {
  const end =
    period === 'LIFETIME'
      ? 'for good'
      : period === 'ROLLING'
        ? 'rolling'
        : `until ${window.to.slice(0, 16).replace('T', ' ').replace(' 00:00', '')}`
  return onExhausted === 'BLOCK' ? end : `${end}, then ${onExhausted.toLowerCase()}`
}

function cellsOf({ name, balance }: Line): [string, string, string, string] {
  if (!balance) return [plain(name), '', '', '']
  const { whole, used } = figuresOf(balance)
  const percent = percentOf(balance)
  return [plain(name), short(used), `${short(whole)} ${balance.limit.currency}`, percent === null ? '' : `${percent} %`]
}

/** Green until nine tenths, then yellow, then red. */
function drawnBar(balance: Balance, width: number, colour: ReturnType<typeof paint>): string {
  const { whole, used, leased, available } = figuresOf(balance)
  const bar = stackedBar({ spent: used, leased, whole }, width)
  const percent = percentOf(balance) ?? 100n
  const hue = available <= 0n && percent >= 100n ? 'red' : percent >= 90n ? 'yellow' : 'cyan'
  return `${colour[hue](bar.spent)}${colour.yellow(bar.leased)}${colour.dim(bar.left)}`
}

const hundredth = 10n ** 10n

/** Money to two digits for people, to what tells something below that; `-o json` has every digit. */
export function short(value: bigint): string {
  if (value !== 0n && value < hundredth && value > -hundredth) return formatAmount(value)
  const rounded = (value + (value < 0n ? -hundredth : hundredth) / 2n) / hundredth
  const [whole, fraction = ''] = formatAmount(rounded * hundredth).split('.')
  return `${whole!.replace(/\B(?=(\d{3})+(?!\d))/g, ',')}.${fraction.padEnd(2, '0')}`
}

/** Every term of one counter. */
export function formatBalance(balance: Balance, io: Screen): string {
  const colour = paint(io.isStdoutTty, io.env)
  const { currency } = balance.limit
  const terms: [string, string][] = [
    ['limit', balance.limit.amount],
    ['+ adjustments', balance.adjustments.amount],
    ['+ overruns', balance.overruns.amount],
    ['+ released', balance.released.amount],
    ['= available', balance.available.amount],
    ['+ leased', balance.leased.amount],
    ['+ spent', balance.spent.amount],
  ]
  const told = terms.filter(([name, amount]) => amount !== '0' || !/adjust|overrun|released/.test(name))
  const width = Math.max(...told.map(([, amount]) => amount.length))
  const lines = told.map(([name, amount]) => `  ${name.padEnd(14)}${amount.padStart(width)} ${currency}`)
  const bar = drawnBar(balance, Math.max(20, Math.min(60, io.width - 4)), colour)
  const title = subjectOf(balance)
  const window = `${balance.window.from} to ${balance.window.to}`
  return [...(title ? [colour.bold(plain(title))] : []), colour.dim(`  ${window}`), `  ${bar}`, ...lines, ''].join('\n')
}
