import { live, StreamRefused } from '../../control-plane/dashboard/live.ts'
import { socketClient, socketStream } from '../../control-plane/dashboard/live-socket.ts'
import { parseDuration } from '../../schema/duration.ts'
import { parseAmount } from '../../schema/money.ts'
import { type Client, openClient } from '../api/client.ts'
import { type Balance, type Budget, balanceFields, listBudgets, noBudget } from '../budgets/balances.ts'
import { counterName, formatBudgets, short } from '../budgets/report.ts'
import { command } from '../command.ts'
import type { ExitCode, Io } from '../io.ts'
import type { Format } from '../output/show.ts'
import { plain } from '../output/table.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'

interface Event {
  __typename: string
  cursor: string
  at: string
  budget?: { handle: string; name: string }
  balance?: Balance
}

const document = `subscription Budgets($after: Cursor) {
  events(kinds: [BUDGET_CHANGED, CONFIG_CHANGED, STREAM_RESET], after: $after) {
    __typename cursor at
    ... on BudgetChanged { budget { handle name } balance { ${balanceFields} } }
  }
}`

const cursorDocument =
  'query Now($from: DateTime!) { spend(window: { from: $from }, interval: TOTAL, top: 1) { cursor } }'

export default command({
  name: 'budget watch',
  description: 'Follows budgets as they are spent, live: a picture on a terminal, elsewhere one line for each change.',
  example:
    'sluice budget watch\nsluice budget watch monthly --for 1h\nsluice budget watch -o json | jq .balance.available',
  positionals: [{ name: 'budget', description: 'only this one; default: all' }],
  options: {
    for: { type: 'string', hint: '10s', description: 'end after so long; default: until you stop it' },
    count: { type: 'string', hint: 'n', description: 'end after so many changes' },
  },
  async run({ positionals, options, format }, io) {
    const forMs = options.for === undefined ? null : parseDuration(options.for)
    if (forMs === undefined) return failed('USAGE', '--for is a duration such as 10s.')
    const count = options.count === undefined ? Number.POSITIVE_INFINITY : Number(options.count)
    if (!(count >= 1)) return failed('USAGE', '--count is a number from 1 on.')
    const client = openClient(io)
    if (isFailed(client)) return client
    const watched = await Watched.open(client, positionals[0])
    if (isFailed(watched)) return watched
    const signal = forMs === null ? io.signal : AbortSignal.any([io.signal, AbortSignal.timeout(forMs)])
    return follow(client, watched, new Screen(io, format), { signal, count }, io)
  },
})

/** The budgets that are shown, kept up to date by events. */
class Watched {
  budgets: Budget[] = []

  private constructor(
    readonly client: Client,
    readonly only: string | undefined,
    readonly before: string,
  ) {}

  static async open(client: Client, only: string | undefined): Promise<Watched | Failed> {
    const from = new Date().toISOString()
    const answer = await client.ask<{ spend: { cursor: string } }>(cursorDocument, { from })
    if (isFailed(answer)) return answer
    const watched = new Watched(client, only, answer.spend.cursor)
    const failure = await watched.reload()
    if (failure) return failure
    return only !== undefined && watched.budgets.length === 0 ? noBudget(only) : watched
  }

  /** A place from which nothing is missed: that of the first balance that was read, or from before anything was. */
  get after(): string {
    return this.budgets.flatMap(({ balances }) => balances.nodes)[0]?.asOf ?? this.before
  }

  async reload(): Promise<Failed | undefined> {
    const budgets = await listBudgets(this.client)
    if (isFailed(budgets)) return budgets
    this.budgets = budgets.filter((budget) => this.#isWanted(budget))
    return undefined
  }

  /** True where it shows. */
  take({ budget, balance }: Event): boolean {
    const found = this.budgets.find(({ handle }) => handle === budget!.handle)
    if (!found) return false
    const { nodes } = found.balances
    const at = nodes.findIndex(({ subject }) => subject === balance!.subject)
    const before = nodes[at]
    if (at >= 0) nodes[at] = balance!
    else nodes.push(balance!)
    // What was read just before it was told is told once more.
    return !before || textOf(before) !== textOf(balance!)
  }

  #isWanted({ handle, name }: Budget): boolean {
    return this.only === undefined || this.only === name || this.only === handle
  }
}

const textOf = ({ asOf: _, ...told }: Balance) => JSON.stringify(told)

async function follow(
  { controlUrl, token, tenant }: Client,
  watched: Watched,
  screen: Screen,
  end: { signal: AbortSignal; count: number },
  io: Io,
): Promise<ExitCode | Failed> {
  const socket = socketClient({ url: `${controlUrl.replace(/^http/, 'ws')}/graphql`, token: () => token, tenant })
  const onState = (state: string) => state === 'reconnecting' && io.err('Reconnecting …\n')
  let left = end.count
  screen.begin(watched.budgets)
  try {
    const open = socketStream<Event>(socket, document)
    for await (const event of live(open, { after: watched.after, signal: end.signal, onState })) {
      if (event.__typename === 'BudgetChanged') {
        if (watched.take(event)) {
          screen.tell(event, watched.budgets)
          left--
        }
      } else {
        const failure = await watched.reload()
        if (failure) return failure
        screen.redraw(watched.budgets)
      }
      if (left <= 0) break
    }
    return 0
  } catch (error) {
    if (error instanceof StreamRefused) return { ...failed(error.code, error.message), exit: 3 }
    throw error
  } finally {
    await socket.dispose()
  }
}

/** A picture that is drawn over itself on a terminal; a line for each change everywhere else. */
class Screen {
  #lines = 0

  constructor(
    readonly io: Io,
    readonly format: Format,
  ) {}

  get #draws(): boolean {
    return this.format === 'table' && this.io.isStdoutTty
  }

  begin(budgets: readonly Budget[]): void {
    if (this.format === 'table') this.redraw(budgets, true)
  }

  redraw(budgets: readonly Budget[], isFirst = false): void {
    if (!this.#draws && !isFirst) return
    const picture = formatBudgets(budgets, this.io)
    // Up to where the last picture began, and everything below it away.
    const over = this.#draws && this.#lines > 0 ? `\u001b[${this.#lines}A\u001b[0J` : ''
    this.io.out(`${over}${picture}`)
    this.#lines = picture.split('\n').length - 1
  }

  tell(event: Event, budgets: readonly Budget[]): void {
    if (this.#draws) {
      this.redraw(budgets)
      return
    }
    const { budget, balance } = event
    const name = counterName(budget!, balance!)
    if (this.format === 'table') this.io.out(`${event.at.slice(11, 19)}  ${plain(name)}  ${sentenceOf(balance!)}\n`)
    else if (this.format === 'name') this.io.out(`${budget!.handle}\n`)
    else this.io.out(`${JSON.stringify({ at: event.at, budget: budget!.handle, balance })}\n`)
  }
}

function sentenceOf({ spent, leased, available, limit }: Balance): string {
  const amount = (money: { amount: string }) => short(parseAmount(money.amount)!)
  return `spent ${amount(spent)}  leased ${amount(leased)}  available ${amount(available)} ${limit.currency}`
}
