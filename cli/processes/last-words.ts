import type { Log } from './surroundings.ts'

const stackCharactersMax = 4_000

/**
 * A fault that nobody caught leaves a process in a state that nobody knows. It says one line and ends with code 1; a supervisor
 * starts it again, and what it had promised is in its journal or database.
 */
export async function withLastWords<T>(log: Log, work: () => Promise<T>): Promise<T> {
  const words = (kind: string) => (error: unknown) => {
    try {
      log('error', `The process ends over a fault that nobody caught: ${kind}.`, { fault: told(error) })
    } finally {
      process.exit(1)
    }
  }
  const handlers = {
    uncaughtException: words('uncaught exception'),
    unhandledRejection: words('unhandled rejection'),
  }
  for (const [event, handler] of Object.entries(handlers)) process.on(event, handler)
  try {
    return await work()
  } finally {
    for (const [event, handler] of Object.entries(handlers)) process.off(event, handler)
  }
}

/** Errors of the language itself: their messages speak of code. Any other may hold what somebody sent. */
const spoken = new Set(['TypeError', 'ReferenceError', 'RangeError'])

/** Name, code and the places in the code. */
function told(error: unknown): string {
  if (!(error instanceof Error)) return `a ${typeof error} was thrown`
  const { code } = error as { code?: unknown }
  const places = (error.stack ?? '').split('\n').filter((line) => /^\s+at /.test(line))
  const message = spoken.has(error.name) ? [`${error.message};`] : []
  return [
    error.name,
    ...message,
    ...(typeof code === 'string' ? [`(${code})`] : []),
    ...places.map((line) => line.trim()),
  ]
    .join(' ')
    .slice(0, stackCharactersMax)
}
