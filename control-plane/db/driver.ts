/** What a driver answers: rows as arrays, in the order of `columns`. Dates, JSON, int8 and numeric come as text. */
export interface QueryResult {
  columns: string[]
  rows: unknown[][]
}

/** Without parameters the text may hold several statements; they are sent at once. */
export type Query = (text: string, params: unknown[]) => Promise<QueryResult>

/** One way to reach PostgreSQL. Everything above it is the same for all of them. */
export interface Driver {
  kind: 'pglite' | 'postgres'
  /** Runs `work` on one connection that nobody else uses meanwhile. */
  session<T>(work: (query: Query) => Promise<T>): Promise<T>
  /** `wake('')` after a connection was lost: anything may have happened. */
  listen(channel: string, wake: (payload: string) => void): Promise<() => Promise<void>>
  close(): Promise<void>
}

/** What the server said no with. Holds neither parameters nor row contents, so that it may be logged. */
export class QueryFailed extends Error {
  constructor(
    message: string,
    /** SQLSTATE. */
    readonly code: string,
    readonly constraint: string | null,
    readonly statement: string,
  ) {
    super(message)
    this.name = 'QueryFailed'
  }
}

/** The storage is not there, or not yet: one sentence, and the same attempt may succeed later. */
export class StorageAway extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'StorageAway'
  }
}

/** Why the control plane's storage cannot be opened: one sentence for whoever started it. */
export class StartRefused extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'StartRefused'
  }
}
