import { PGlite } from '@electric-sql/pglite'
import type { QueryFailed } from './driver.ts'

/**
 * PGlite blocks the thread it runs on, so it has one of its own. The host owns the order of transactions; this side only runs
 * what it is told, one message after the other.
 */
export type ToWorker =
  | { type: 'open'; id: number; dataDir: string | null; template: Blob | null }
  | { type: 'query'; id: number; text: string; params: unknown[] }
  | { type: 'listen'; id: number; channel: string }
  | { type: 'dump'; id: number }
  | { type: 'close'; id: number }

export type FromWorker =
  | { type: 'done'; id: number; result: unknown }
  | { type: 'failed'; id: number; message: string; code: string; constraint: string | null }
  | { type: 'notified'; channel: string; payload: string }

declare const self: { onmessage: ((event: MessageEvent<ToWorker>) => void) | null; postMessage(m: FromWorker): void }

/** Dates, JSON and large numbers stay text: drizzle's columns know what they are. */
const asText = (value: string) => value
const textTypes = [20, 114, 1082, 1083, 1114, 1184, 1700, 3802]
const parsers = Object.fromEntries(textTypes.map((oid) => [oid, asText]))

let database: PGlite | undefined
let chain: Promise<void> = Promise.resolve()

self.onmessage = ({ data }) => {
  chain = chain.then(() => answer(data))
}

async function answer(message: ToWorker) {
  try {
    self.postMessage({ type: 'done', id: message.id, result: await run(message) })
  } catch (error) {
    const { message: text, code, constraint } = error as QueryFailed
    self.postMessage({
      type: 'failed',
      id: message.id,
      message: text,
      code: code ?? '',
      constraint: constraint ?? null,
    })
  }
}

async function run(message: ToWorker): Promise<unknown> {
  if (message.type === 'open') {
    const options = { parsers, ...(message.template && { loadDataDir: message.template }) }
    database = await PGlite.create({ ...options, ...(message.dataDir && { dataDir: message.dataDir }) })
    await database.exec("set timezone = 'UTC'")
    return null
  }
  if (!database) throw new Error('the database is not open')
  if (message.type === 'query') {
    const { text, params } = message
    // Without parameters by the simple protocol, which takes several statements at once; the last one's rows are the answer.
    const result = params.length
      ? await database.query(text, params, { rowMode: 'array' })
      : (await database.exec(text, { rowMode: 'array' })).at(-1)
    return { columns: result?.fields.map((field) => field.name) ?? [], rows: result?.rows ?? [] }
  }
  if (message.type === 'listen') {
    const { channel } = message
    await database.listen(channel, (payload) => self.postMessage({ type: 'notified', channel, payload }))
    return null
  }
  if (message.type === 'dump') return database.dumpDataDir('gzip')
  await database.close()
  database = undefined
  return null
}
