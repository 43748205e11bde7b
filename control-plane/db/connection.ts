import postgres from 'postgres'
import { type Query, QueryFailed, type QueryResult } from './driver.ts'
import type { RepeatedStatements } from './statements.ts'
import { troubleOf } from './trouble.ts'

/** Beyond the server's own bound for a statement: what has no answer by then has nobody to answer it. */
const answerMsMax = 40_000

const lost = (statement: string) => new QueryFailed('the connection was lost', 'CONNECTION_CLOSED', null, statement)

/**
 * One connection, used by one session at a time. The driver opens a new one by itself where it was lost, and would go on with the
 * next statement there, outside of the transaction; a session here ends with the connection that it began on.
 */
export class Connection {
  readonly #sql: postgres.Sql
  readonly #repeated: RepeatedStatements
  #closed = 0
  /** To be thrown away: it was lost, or nobody can tell. */
  broken = false

  constructor(url: string, options: postgres.Options<Record<string, never>>, repeated: RepeatedStatements) {
    const onclose = () => {
      this.#closed++
    }
    this.#sql = postgres(url, { ...options, max: 1, onclose })
    this.#repeated = repeated
  }

  async session<T>(work: (query: Query) => Promise<T>, bound = answerMsMax): Promise<T> {
    const since = this.#closed
    let last: Promise<unknown> = Promise.resolve()
    const send = async (text: string, params: unknown[]) => {
      if (this.broken || this.#closed !== since) throw lost(text)
      try {
        return await within(bound, text, this.#ask(text, params))
      } catch (error) {
        if (troubleOf(error) === 'LOST') this.broken = true
        throw error
      }
    }
    // One after the other, so that none is waiting in the driver when the connection goes.
    const query: Query = (text, params) => {
      const answer = last.then(() => send(text, params))
      last = answer.catch(() => {})
      return answer
    }
    try {
      return await work(query)
    } finally {
      if (this.#closed !== since) this.broken = true
    }
  }

  async end(timeoutS: number): Promise<void> {
    await this.#sql.end({ timeout: timeoutS })
  }

  /** Without parameters it goes by the simple protocol, which takes several statements at once. */
  async #ask(text: string, params: unknown[]): Promise<QueryResult> {
    try {
      const prepare = params.length > 0 && this.#repeated.has(text)
      const rows = await this.#sql.unsafe(text, params as never[], { prepare }).values()
      return { columns: rows.columns?.map((column) => column.name) ?? [], rows: rows as unknown as unknown[][] }
    } catch (error) {
      const { message, code, constraint_name } = error as Partial<postgres.PostgresError>
      throw new QueryFailed(message ?? String(code), code ?? '', constraint_name ?? null, text)
    }
  }
}

async function within<T>(ms: number, statement: string, answer: Promise<T>): Promise<T> {
  if (!Number.isFinite(ms)) return answer
  const late = Promise.withResolvers<never>()
  const timer = setTimeout(() => late.reject(lost(statement)), ms)
  try {
    return await Promise.race([answer, late.promise])
  } finally {
    clearTimeout(timer)
    answer.catch(() => {})
  }
}
