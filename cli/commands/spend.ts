import { parseDuration } from '../../schema/duration.ts'
import { parseAmount } from '../../schema/money.ts'
import { openClient } from '../api/client.ts'
import { command } from '../command.ts'
import type { Io } from '../io.ts'
import { bar } from '../output/bars.ts'
import { paint } from '../output/paint.ts'
import { show } from '../output/show.ts'
import { type Column, formatTable } from '../output/table.ts'
import { failed, isFailed } from '../trouble.ts'

const dimensions = [
  'TEAM',
  'PROJECT',
  'PRINCIPAL',
  'API_KEY',
  'PROVIDER',
  'MODEL',
  'ALIAS',
  'TIER',
  'DATA_PLANE',
] as const
const intervals = ['MINUTE', 'HOUR', 'DAY', 'WEEK', 'MONTH', 'TOTAL'] as const
const barWidth = 24

interface Money {
  amount: string
  currency: string
}
interface Point {
  at: string
  cost: Money
  requests: number
  refused: number
  failed: number
  tokens: number
}
interface Group {
  key: { dimension: string; label: string | null; value: string; resource: { handle: string } | null }[]
  points: Point[]
  total: Money
}
export interface Series {
  window: { from: string; to: string }
  interval: string
  currency: string
  settledThrough: string
  pending: { handle: string }[]
  total: Money
  groups: Group[]
}

const document = `query Spend($window: TimeRange!, $interval: Interval!, $groupBy: [SpendDimension!], $labels: [String!], $top: Int) {
  spend(window: $window, interval: $interval, groupBy: $groupBy, groupByLabels: $labels, top: $top) {
    window { from to } interval currency settledThrough pending { handle }
    total { amount currency }
    groups {
      key { dimension label value resource { handle } }
      total { amount currency }
      points { at cost { amount currency } requests refused failed tokens }
    }
  }
}`

export default command({
  name: 'spend',
  description: 'Shows what was spent. The server makes every sum; how far it is settled is said.',
  example:
    'sluice spend --by project --since 7d\nsluice spend --by model --since 24h --interval hour\nsluice spend --by label:case -o json\nsluice spend reconcile --help',
  options: {
    by: {
      type: 'string',
      hint: 'what,…',
      description:
        'team, project, principal, api-key, provider, model, alias, tier, data-plane, label:<key>; default project',
    },
    since: { type: 'string', hint: '7d', description: 'a duration back from now, or an instant; default 7d' },
    until: { type: 'string', hint: 'instant', description: 'default: now' },
    interval: {
      type: 'string',
      values: intervals.map((one) => one.toLowerCase()),
      description: 'a line for each; default total',
    },
    top: { type: 'string', hint: '10', description: 'the largest groups, 1 to 1000; the rest is one line' },
  },
  async run({ options, format }, io) {
    const groups = readGroups(options.by ?? 'project')
    if ('wrong' in groups) return failed('USAGE', `--by ${groups.wrong}.`)
    const from = instantOf(options.since ?? '7d', io.now())
    const to = options.until === undefined ? null : instantOf(options.until, io.now())
    if (from === undefined || to === undefined)
      return failed('USAGE', '--since and --until are a duration such as 7d or an instant such as 2026-11-01.')
    const top = options.top ?? '10'
    if (!/^\d{1,4}$/.test(top) || Number(top) < 1 || Number(top) > 1_000) return failed('USAGE', '--top is 1 to 1000.')
    const client = openClient(io)
    if (isFailed(client)) return client
    const answer = await client.ask<{ spend: Series }>(document, {
      window: { from, to },
      interval: (options.interval ?? 'total').toUpperCase(),
      top: Number(top),
      ...groups,
    })
    if (isFailed(answer)) return answer
    const { spend } = answer
    show(io, format, {
      data: spend,
      table: () => formatSpend(spend, io),
      names: () => spend.groups.map(nameOf),
    })
    return 0
  },
})

function readGroups(typed: string): { groupBy: string[]; labels: string[] } | { wrong: string } {
  const groupBy: string[] = []
  const labels: string[] = []
  for (const word of typed
    .split(',')
    .map((one) => one.trim())
    .filter(Boolean)) {
    const dimension = word.toUpperCase().replaceAll('-', '_')
    if (word.startsWith('label:') && word.length > 6) labels.push(word.slice(6))
    else if ((dimensions as readonly string[]).includes(dimension)) groupBy.push(dimension)
    else
      return {
        wrong: `has no ${JSON.stringify(word)}; there is ${dimensions.map((one) => one.toLowerCase().replaceAll('_', '-')).join(', ')} and label:<key>`,
      }
  }
  return { groupBy, labels }
}

function instantOf(typed: string, nowMs: number): string | undefined {
  const ms = parseDuration(typed)
  if (ms !== undefined) return new Date(nowMs - ms).toISOString()
  const at = /^\d{4}-\d{2}-\d{2}/.test(typed) ? Date.parse(typed) : Number.NaN
  return Number.isNaN(at) ? undefined : new Date(at).toISOString()
}

/** One line per group, or per group and interval, with a bar that compares lines of this table. */
export function formatSpend(spend: Series, io: Pick<Io, 'env' | 'isStdoutTty'>): string {
  const colour = paint(io.isStdoutTty, io.env)
  const total = spend.interval === 'TOTAL'
  const lines = spend.groups.flatMap((group) => group.points.map((point) => ({ name: nameOf(group), ...point })))
  if (!total) lines.sort((a, b) => a.at.localeCompare(b.at))
  const most = lines.reduce((largest, { cost }) => max(largest, parseAmount(cost.amount)!), 0n)
  type Line = (typeof lines)[number]
  const count = (title: string, value: (line: Line) => number): Column<Line> => ({
    title,
    align: 'right',
    value: (line) => value(line).toLocaleString('en-US'),
  })
  const columns: Column<Line>[] = [
    ...(total ? [] : [{ title: 'FROM', value: (line: Line) => line.at.slice(0, 16).replace('T', ' ') }]),
    { title: 'WHAT', value: ({ name }) => name },
    { title: spend.currency, align: 'right', value: ({ cost }) => cost.amount },
    count('REQUESTS', ({ requests }) => requests),
    count('REFUSED', ({ refused }) => refused),
    count('FAILED', ({ failed: lost }) => lost),
    count('TOKENS', ({ tokens }) => tokens),
    { title: '', value: ({ cost }) => bar(parseAmount(cost.amount)!, most, barWidth) },
  ]
  const waiting =
    spend.pending.length > 0 ? `; not waited for: ${spend.pending.map(({ handle }) => handle).join(', ')}` : ''
  const foot = colour.dim(`settled through ${spend.settledThrough}${waiting}`)
  return `${formatTable(lines, columns)}${colour.bold(`total ${spend.total.amount} ${spend.currency}`)}  ${foot}\n`
}

const max = (a: bigint, b: bigint) => (a > b ? a : b)

/** `checkout-bot · gpt-4o`; what has no such key is `(none)`, what was folded is `(other)`. */
function nameOf({ key }: Group): string {
  const names = key.map(({ value, resource, label }) => {
    const name = resource ? resource.handle.slice(resource.handle.indexOf('/') + 1) : value
    const shown = name === '' ? '(none)' : value === 'other' && !resource ? '(other)' : name
    return label ? `${label}=${shown}` : shown
  })
  return names.join(' · ') || '(all)'
}
