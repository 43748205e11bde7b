import type { RetryCause } from '../../schema/config/index.ts'
import type { Breakers } from '../breakers.ts'
import type { RunningRoute } from '../snapshot/running.ts'
import type { Target } from './target.ts'

/** Causes that speak of the credential: every model that is asked with it would meet them. */
const ofCredential: ReadonlySet<RetryCause> = new Set(['AUTH_FAILED', 'RATE_LIMITED'])
/** Causes that speak of the model, whatever the credential. The others speak of the request. */
const ofModel: ReadonlySet<RetryCause> = new Set(['CONNECT_FAILED', 'TIMEOUT', 'OVERLOADED', 'SERVER_ERROR'])

/** An attempt at this target begins. */
export function noteTrying(breakers: Breakers, target: Target): void {
  for (const circuit of circuitsOf(target)) breakers.trying(circuit)
}

/** It answered, so its model and its credential are well. */
export function noteWell(breakers: Breakers, target: Target): void {
  for (const circuit of circuitsOf(target)) breakers.succeeded(circuit)
}

/** An attempt came to nothing: for the cause's circuit it counts, for the other it says nothing. Null = nobody's fault. */
export function noteFailed(
  breakers: Breakers,
  target: Target,
  cause: RetryCause | null,
  { breaker }: RunningRoute,
  nowMs: number,
): void {
  const blamed = cause && blamedFor(cause, target)
  for (const circuit of circuitsOf(target))
    if (circuit === blamed) breakers.failed(circuit, breaker, nowMs)
    else breakers.released(circuit)
}

const circuitsOf = ({ key, credential }: Target) => (credential === null ? [key] : [key, credential.id])

function blamedFor(cause: RetryCause, { key, credential }: Target): string | undefined {
  if (ofModel.has(cause)) return key
  return ofCredential.has(cause) ? (credential?.id ?? key) : undefined
}
