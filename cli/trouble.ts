import type { ExitCode, Io } from './io.ts'
import { paint } from './output/paint.ts'

/** Why a command did not do what was asked: a value, since all of this is to be expected. */
export interface Trouble {
  /** Stable, for scripts. */
  code: string
  message: string
  /** `file:line`, or the path into the input. */
  where?: string
  /** What to do about it. */
  advice?: string
  requestId?: string
}

export interface Failed {
  failed: Trouble[]
  /** 1 error, 3 refused. */
  exit: Extract<ExitCode, 1 | 3>
}

export const failed = (code: string, message: string, more: Omit<Trouble, 'code' | 'message'> = {}): Failed => ({
  failed: [{ code, message, ...more }],
  exit: 1,
})

/** A no that was to be expected: from the control plane, or from this CLI where it knows the answer. */
export const refused = (code: string, message: string, advice?: string): Failed => ({
  failed: [{ code, message, advice }],
  exit: 3,
})

export function isFailed(value: unknown): value is Failed {
  return typeof value === 'object' && value !== null && 'failed' in value
}

/** Tells the troubles on stderr, or as JSON on stderr where the answer was to be JSON, and hands on the exit code. */
export function tell(io: Io, { failed: troubles, exit }: Failed, asJson = false): ExitCode {
  if (asJson) io.err(`${JSON.stringify({ errors: troubles })}\n`)
  else for (const trouble of troubles) io.err(`${sentenceOf(io, trouble)}\n`)
  return exit
}

function sentenceOf(io: Io, { code, message, where, advice, requestId }: Trouble): string {
  const colour = paint(io.isStderrTty, io.env)
  const place = where ? `${where}: ` : ''
  const way = advice ? `\n  ${colour.dim('→')} ${advice}` : ''
  return `${colour.red(code)} ${place}${message}${requestId ? colour.dim(` (request ${requestId})`) : ''}${way}`
}
