import { QueryFailed } from './driver.ts'

/** Why the database cannot do now what it may well do later. */
export type Trouble = 'READ_ONLY' | 'LOST' | 'BUSY' | 'CONTENDED'

const sentences: Record<Trouble, string> = {
  READ_ONLY: 'The database takes no writes right now (it is read-only or a standby); reads go on. Try again later.',
  LOST: 'The connection to the database was lost; a write may or may not have been done. Try again, with the same idempotency key.',
  BUSY: 'The database is too busy to answer in time. Try again in a moment.',
  CONTENDED: 'Others kept changing the same things at the same time. Try again.',
}

/** Storage that is out of order for a while: the message is for callers, `code` (SQLSTATE or a driver's) for the log. */
export class DatabaseUnavailable extends Error {
  constructor(
    readonly trouble: Trouble,
    readonly code: string,
  ) {
    super(sentences[trouble])
    this.name = 'DatabaseUnavailable'
  }
}

/** SQLSTATEs, whole or by class, and what the driver and the operating system say of a connection. */
const troubles: [Trouble, RegExp][] = [
  ['CONTENDED', /^(40001|40P01)$/],
  ['READ_ONLY', /^25006$/],
  // 08: connection exceptions. 57P01 to 57P03, 57P05: shut down, crashed, starting up, idle for too long. 25P03: idle in a transaction.
  [
    'LOST',
    /^(08...|57P0[1235]|25P03|CONNECTION_\w+|CONNECT_TIMEOUT|E(CONN\w+|PIPE|TIMEDOUT|HOST\w+|NET\w+|AI_AGAIN))$/,
  ],
  // 53: no memory, disk or connection left. 55P03: a lock's wait, 57014: a statement's time is over.
  ['BUSY', /^(53...|55P03|57014)$/],
]

/** Undefined = not a matter of waiting: a bug, or a constraint. */
export function troubleOf(error: unknown): Trouble | undefined {
  if (!(error instanceof QueryFailed)) return undefined
  return troubles.find(([, codes]) => codes.test(error.code))?.[0]
}
