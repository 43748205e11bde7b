import { live, StreamRefused } from '../../control-plane/dashboard/live.ts'
import { socketClient, socketStream } from '../../control-plane/dashboard/live-socket.ts'
import { type Client, openClient } from '../api/client.ts'
import { refOf } from '../api/refs.ts'
import { command } from '../command.ts'
import type { ExitCode, Io } from '../io.ts'
import { paint } from '../output/paint.ts'
import type { Format } from '../output/show.ts'
import { plain } from '../output/table.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'

const recordFields = `id at alias streamed outcome refusal finishReason
  model { name } project { name } meters { meter quantity } cost { amount currency } timing { totalMs firstTokenMs }`

const tailDocument = `subscription Tail($filter: FlightFilter, $after: Cursor) {
  flightTail(filter: $filter, after: $after) { cursor skipped records { ${recordFields} } }
}`
const lastDocument = `query Last($filter: FlightFilter, $first: Int!) {
  flightRecords(filter: $filter, first: $first) { nodes { cursor ${recordFields} } }
}`

export interface TailRecord {
  id: string
  at: string
  alias: string
  streamed: boolean
  outcome: string
  refusal: string | null
  finishReason: string | null
  model: { name: string } | null
  project: { name: string } | null
  meters: { meter: string; quantity: number }[]
  cost: { amount: string; currency: string }
  timing: { totalMs: number; firstTokenMs: number | null }
}
interface Tick {
  cursor: string
  skipped: number
  records: TailRecord[]
}

export default command({
  name: 'tail',
  description: 'Follows requests as they finish, one line each. A dropped connection is taken up again where it ended.',
  example: 'sluice tail\nsluice tail --project checkout-bot --outcome refused\nsluice tail -o json | jq .cost',
  options: {
    project: { type: 'string', hint: 'project', description: 'only of this project' },
    model: { type: 'string', hint: 'model', description: 'only served by this model' },
    alias: { type: 'string', hint: 'name', description: 'only where this model name was asked for' },
    key: { type: 'string', hint: 'key', description: 'only by this key' },
    outcome: {
      type: 'string',
      values: ['completed', 'refused', 'failed', 'cancelled'],
      description: 'only with this end',
    },
    last: {
      type: 'string',
      hint: '10',
      description: 'begin with so many that finished before, at most 100; default 0',
    },
    count: { type: 'string', hint: 'n', description: 'end after so many' },
  },
  async run({ options, format }, io) {
    const last = Number(options.last ?? 0)
    const count = options.count === undefined ? Number.POSITIVE_INFINITY : Number(options.count)
    if (!Number.isInteger(last) || last < 0 || last > 100) return failed('USAGE', '--last is 0 to 100.')
    if (!(count >= 1)) return failed('USAGE', '--count is a number from 1 on.')
    const client = openClient(io)
    if (isFailed(client)) return client
    const filter = {
      project: options.project && [refOf('project', options.project)],
      model: options.model && [refOf('model', options.model)],
      apiKey: options.key && [refOf('apiKey', options.key)],
      alias: options.alias && [options.alias],
      outcome: options.outcome && [options.outcome.toUpperCase()],
    }
    const begun = await readLast(client, filter, last)
    if (isFailed(begun)) return begun
    const out = new Lines(io, format, count)
    out.write(begun.records)
    return out.isFull ? 0 : follow(client, filter, begun.after, out, io)
  },
})

type Filter = Record<string, unknown>

/** What finished before, oldest first, and the place in the stream after it; null = from now on. */
async function readLast(client: Client, filter: Filter, first: number) {
  // Asked even for none: it says in plain words what a socket could only say by closing.
  const variables = { filter, first: Math.max(first, 1) }
  const answer = await client.ask<{ flightRecords: { nodes: (TailRecord & { cursor: string | null })[] } }>(
    lastDocument,
    variables,
  )
  if (isFailed(answer)) return answer
  const { nodes } = answer.flightRecords
  return { records: nodes.slice(0, first).reverse(), after: first > 0 ? (nodes[0]?.cursor ?? null) : null }
}

/** Writes records until it is full. */
class Lines {
  #left: number
  readonly #write: (record: TailRecord) => string

  constructor(
    readonly io: Io,
    format: Format,
    count: number,
  ) {
    this.#left = count
    if (format === 'name') this.#write = ({ id }) => id
    else if (format === 'table') this.#write = (record) => lineOf(record, io)
    // One object a line in both: a stream has no end that a list could close with.
    else this.#write = (record) => JSON.stringify(record)
  }

  get isFull(): boolean {
    return this.#left <= 0
  }

  write(records: readonly TailRecord[]): void {
    for (const record of records) {
      if (this.isFull) return
      this.#left--
      this.io.out(`${this.#write(record)}\n`)
    }
  }
}

async function follow(
  { controlUrl, token, tenant }: Client,
  filter: Filter,
  after: string | null,
  out: Lines,
  io: Io,
): Promise<ExitCode | Failed> {
  const socket = socketClient({ url: `${controlUrl.replace(/^http/, 'ws')}/graphql`, token: () => token, tenant })
  const onState = (state: string) => state === 'reconnecting' && io.err('Reconnecting …\n')
  try {
    const open = socketStream<Tick>(socket, tailDocument, { filter })
    for await (const { records, skipped } of live(open, { after, signal: io.signal, onState })) {
      out.write(records)
      if (skipped > 0) io.err(`${skipped} more finished than could be shown.\n`)
      if (out.isFull) break
    }
    return 0
  } catch (error) {
    if (error instanceof StreamRefused) return { ...failed(error.code, error.message), exit: 3 }
    throw error
  } finally {
    await socket.dispose()
  }
}

const hues = { COMPLETED: 'green', REFUSED: 'yellow', FAILED: 'red', CANCELLED: 'yellow' } as const

/** `12:31:07  completed  checkout  gpt-4o → openai/gpt-4o  1 204 tokens  0.00123 USD  812 ms` */
function lineOf(record: TailRecord, io: Io): string {
  const colour = paint(io.isStdoutTty, io.env)
  const { outcome, refusal, alias, model, project, cost, timing, meters } = record
  const end = (refusal ?? outcome.toLowerCase()).padEnd(9)
  const tokens = meters.reduce((sum, { meter, quantity }) => sum + (meter.endsWith('_TOKENS') ? quantity : 0), 0)
  const first = timing.firstTokenMs === null ? '' : ` (first ${timing.firstTokenMs} ms)`
  return [
    colour.dim(record.at.slice(11, 19)),
    colour[hues[outcome as keyof typeof hues] ?? 'dim'](end),
    plain(project?.name ?? '(no project)'),
    plain(model && model.name !== alias ? `${alias} → ${model.name}` : alias),
    `${tokens} tokens`,
    `${cost.amount} ${cost.currency}`,
    `${timing.totalMs} ms${first}`,
    colour.dim(record.id),
  ].join('  ')
}
