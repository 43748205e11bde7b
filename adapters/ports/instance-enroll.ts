import type { z } from 'zod'
import { isGapRefusal } from '../../air-gap/refusal.ts'
import { openFirstRoot } from '../../air-gap/trust-root.ts'
import { enrollAnswer, type enrollRequest } from '../../schema/link.ts'
import { backoffMs, sleep } from './link-backoff.ts'

export type EnrollAnswer = z.output<typeof enrollAnswer>

const requestMsMax = 10_000
const answerCharactersMax = 256 * 1024

/**
 * Exchanges the enrolment token for an identity. A control plane that cannot be reached is asked again until `waitMs` is over;
 * a token that is refused is final. The refusal is a sentence and never holds the token.
 */
export async function enrollInstance(options: {
  controlUrl: string
  request: z.input<typeof enrollRequest>
  waitMs: number
  /** Hears at each attempt why it is still being waited for. */
  waiting?: (sentence: string) => void
  signal?: AbortSignal
}): Promise<EnrollAnswer | { refused: string }> {
  const untilMs = performance.now() + options.waitMs
  for (let attempt = 0; ; attempt++) {
    const answer = await askOnce(options)
    if (!('unreachable' in answer)) return answer
    const sentence = `The control plane at ${options.controlUrl} could not be asked: ${answer.unreachable}`
    if (options.signal?.aborted || performance.now() >= untilMs) return { refused: sentence }
    options.waiting?.(sentence)
    await sleep(backoffMs(attempt, Math.random), options.signal)
  }
}

async function askOnce(options: {
  controlUrl: string
  request: z.input<typeof enrollRequest>
  signal?: AbortSignal
}): Promise<EnrollAnswer | { refused: string } | { unreachable: string }> {
  const timeout = AbortSignal.timeout(requestMsMax)
  try {
    const response = await fetch(new URL('/plane/v1/enroll', options.controlUrl), {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(options.request),
      redirect: 'error',
      signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
    })
    const text = (await response.text()).slice(0, answerCharactersMax)
    if (response.status >= 500) return { unreachable: `it answered ${response.status}.` }
    return response.ok ? readAnswer(text) : { refused: refusalIn(text, response.status) }
  } catch (error) {
    return {
      unreachable: timeout.aborted ? 'it did not answer.' : ((error as { code?: string }).code ?? 'no connection.'),
    }
  }
}

function readAnswer(text: string): EnrollAnswer | { refused: string } {
  const answer = enrollAnswer.safeParse(parseJson(text)).data
  if (!answer) return { refused: 'What answered the enrolment is not a control plane of this version.' }
  const root = openFirstRoot(answer.trustRoot)
  return isGapRefusal(root) ? { refused: `The trust root cannot be pinned. ${root.sentence}` } : answer
}

function refusalIn(text: string, status: number): string {
  const told = (parseJson(text) as { error?: { message?: unknown } } | undefined)?.error?.message
  return typeof told === 'string' ? told.slice(0, 500) : `The enrolment was answered with status ${status}.`
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
