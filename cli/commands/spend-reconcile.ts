import { parseAmount } from '../../schema/money.ts'
import { openClient } from '../api/client.ts'
import { command } from '../command.ts'
import { isDifferent, type Tolerance } from '../invoice/compare.ts'
import { isTimeZone } from '../invoice/days.ts'
import { type ColumnNames, readColumns } from '../invoice/formats/generic.ts'
import { type Invoice, readInvoice } from '../invoice/read.ts'
import { candidates, matchNames, reconcile } from '../invoice/reconcile.ts'
import { readDeclared, readRecorded } from '../invoice/records.ts'
import { formatComparison, type Reconciled, reconciledData } from '../invoice/report.ts'
import type { Io } from '../io.ts'
import { show } from '../output/show.ts'
import { failed, isFailed, refused } from '../trouble.ts'

export default command({
  name: 'spend reconcile',
  description:
    "Compares a provider's export of usage or cost with the records, by day and model. Knows OpenAI, Anthropic, AWS, Azure and Google; for other tables: --columns. Exit 2 where they differ by more than --tolerance.",
  example: [
    'sluice spend reconcile --file openai-costs.csv',
    'sluice spend reconcile --file bedrock.csv.gz --provider bedrock --tolerance 1% --all',
    'sluice spend reconcile --file bill.csv --columns date=Day,model=Name,cost=EUR --map "Large 2=mistral/large" -o json',
  ].join('\n'),
  options: {
    file: {
      type: 'string',
      many: true,
      required: true,
      hint: 'path',
      description: 'the export, CSV (also .gz) or JSON of its API; may be given again',
    },
    provider: {
      type: 'string',
      hint: 'name',
      description: "whose export it is; default: by the export's kind and the models in it",
    },
    columns: {
      type: 'string',
      hint: 'k=Title,…',
      description: 'titles of a plain table: date, model, input, cached, output, cost',
    },
    map: {
      type: 'string',
      many: true,
      hint: 'name=model',
      description: "the export's name of a model, and ours; may be given again",
    },
    'time-zone': {
      type: 'string',
      hint: 'zone',
      description: "where the export's days begin; default UTC (Google: America/Los_Angeles)",
    },
    tolerance: {
      type: 'string',
      hint: '0.5%',
      description: 'what is no difference: a share, an amount, or both; default 0.01,0.5%',
    },
    rate: { type: 'string', hint: '1.08', description: "what one unit of the export's currency is in the tenant's" },
    from: { type: 'string', hint: 'day', description: 'first day to compare; default: the first in the export' },
    to: { type: 'string', hint: 'day', description: 'last day to compare; default: the last in the export' },
    all: { type: 'boolean', description: 'show lines that agree too' },
  },
  async run({ options, format }, io) {
    const asked = readOptions(options)
    if ('wrong' in asked) return failed('USAGE', asked.wrong, { advice: 'sluice spend reconcile --help' })
    const client = openClient(io)
    if (isFailed(client)) return client
    const declared = await readDeclared(client)
    if (isFailed(declared)) return declared
    const invoice = await readInvoice(options.file, { ...asked, currency: declared.currency })
    if (isFailed(invoice)) return invoice
    if (invoice.lines.size === 0)
      return refused('EMPTY_EXPORT', emptySentence(invoice), 'are --from and --to days of the export?')
    const { provider = null } = options
    const models = candidates(declared, invoice, provider)
    if (provider && models.length === 0)
      return failed('NOT_FOUND', `There is no model of a provider ${JSON.stringify(provider)}.`, {
        advice: 'sluice provider list',
      })
    const matched = matchNames(invoice, models, declared.aliases, asked.map)
    if (isFailed(matched)) return matched
    const days = [...invoice.lines.values()].map(({ day }) => day).sort()
    const window = { first: asked.from ?? days[0]!, last: asked.to ?? days.at(-1)!, timeZone: invoice.timeZone }
    const providers = provider ? [provider] : matched.providers
    const recorded = await readRecorded(client, { ...window, providers: providers.length > 0 ? providers : null })
    if (isFailed(recorded)) return recorded
    const comparison = reconcile(matched, recorded.lines, invoice.measures, asked.tolerance)
    const result: Reconciled = {
      invoice,
      matched: { ...matched, providers },
      recorded,
      comparison,
      currency: declared.currency,
      window,
    }
    show(io, format, {
      data: reconciledData(result),
      table: () => formatComparison(result, options.all, io),
      names: () => comparison.lines.filter(isDifferent).map(({ day, model }) => `${day} ${model}`),
    })
    tellAsides(result, io)
    return comparison.lines.some(isDifferent) ? 2 : 0
  },
})

interface Typed {
  columns?: string
  map: string[]
  'time-zone'?: string
  tolerance?: string
  rate?: string
  from?: string
  to?: string
}

interface Asked {
  columns: ColumnNames | null
  map: Map<string, string>
  timeZone: string | null
  tolerance: Tolerance
  rate: bigint | null
  from: string | null
  to: string | null
}

/** What was typed, read; or one sentence. */
function readOptions(typed: Typed): Asked | { wrong: string } {
  const columns = typed.columns === undefined ? null : readColumns(typed.columns)
  if (columns && 'wrong' in columns) return { wrong: `--columns: ${columns.wrong}.` }
  const timeZone = typed['time-zone'] ?? null
  if (timeZone !== null && !isTimeZone(timeZone)) return { wrong: '--time-zone is an IANA name such as Europe/Berlin.' }
  const tolerance = readTolerance(typed.tolerance ?? '0.01,0.5%')
  if (!tolerance) return { wrong: '--tolerance is a share such as 0.5%, an amount such as 0.02, or both: 0.02,0.5%.' }
  const rate = typed.rate === undefined ? null : parseAmount(typed.rate)
  if (rate === undefined || (rate !== null && rate <= 0n)) return { wrong: '--rate is a number above 0 such as 1.08.' }
  const map = new Map<string, string>()
  for (const pair of typed.map) {
    const at = pair.lastIndexOf('=')
    if (at < 1 || at === pair.length - 1)
      return { wrong: '--map is a name of the export and a model: "Large 2=mistral/large".' }
    map.set(pair.slice(0, at), pair.slice(at + 1).replace(/^model\//, ''))
  }
  const [from, to] = [typed.from ?? null, typed.to ?? null]
  for (const day of [from, to])
    if (day !== null && !/^\d{4}-\d{2}-\d{2}$/.test(day))
      return { wrong: '--from and --to are days such as 2026-01-31.' }
  return { columns, map, timeZone, tolerance, rate, from, to }
}

function readTolerance(typed: string): Tolerance | undefined {
  const tolerance: Tolerance = { share: 0n, amount: 0n }
  for (const part of typed.split(',')) {
    const isShare = part.trim().endsWith('%')
    const value = parseAmount(part.trim().replace(/%$/, ''))
    if (value === undefined || value < 0n) return undefined
    // A hundredth of a percent's millionth is finer than anybody means.
    if (isShare) tolerance.share = value / 100_000_000n
    else tolerance.amount = value
  }
  return tolerance
}

const emptySentence = ({ rows, skipped }: Invoice) =>
  `The export has no usage in these days (${rows} lines read, ${[...skipped.values()].reduce((sum, count) => sum + count, 0)} left out).`

/** Talk: what was left out, what could not be named, and what may still come. */
function tellAsides({ invoice, matched, recorded, window }: Reconciled, io: Io): void {
  for (const [what, count] of invoice.skipped)
    if (what !== 'empty buckets') io.err(`Left out: ${count.toLocaleString('en-US')} ${what}.\n`)
  const [first] = matched.unknown
  if (first !== undefined) {
    const names = matched.unknown
      .slice(0, 5)
      .map((name) => JSON.stringify(name))
      .join(', ')
    io.err(
      `No model is declared for ${names}${matched.unknown.length > 5 ? ` and ${matched.unknown.length - 5} more` : ''}.\n`,
    )
    io.err(`  → say which it is: --map ${JSON.stringify(`${first}=<model>`)}\n`)
  }
  if (invoice.isPart) io.err('The page says that there are more pages; what they hold is missing here.\n')
  if (recorded.settledThrough.slice(0, 10) <= window.last)
    io.err(`The records are settled through ${recorded.settledThrough}; what is later may still grow.\n`)
}
