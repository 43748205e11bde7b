import type { RetryCause } from '../../../schema/config/index.ts'
import { type Refusal, refusalMessage, refusals } from '../../../schema/refusals.ts'
import type { BrokenStream, UpstreamError } from '../codec.ts'
import { readHttpError } from '../http-error.ts'
import type { Json } from '../json.ts'
import type { GeminiRequest } from './request.ts'

/** Reads a google.rpc.Status, alone or in a list as streams tell it. */
export function readGeminiError(status: number, text: string): UpstreamError {
  const error = parseError(text)
  const read = readHttpError(status, text, error && { message: error.message, cause: causeOf(error) })
  return { ...read, refusal: { ...read.refusal, ...retryAfter(error, refusals[read.refusal.refused].retry) } }
}

function causeOf(error: Json): RetryCause | undefined {
  if (isAboutKey(error)) return 'AUTH_FAILED'
  return isTooLong(error) ? 'CONTEXT_TOO_LONG' : undefined
}

/** An error told where an answer was due, or within a stream: its `code` is the status it stands for. */
export function readToldError(error: Json, text: string): UpstreamError {
  const status = Number.isInteger(error.code) && error.code >= 400 && error.code <= 599 ? error.code : 502
  return { ...readGeminiError(status, text), free: false }
}

function parseError(text: string): Json | undefined {
  try {
    const body = JSON.parse(text)
    const error = (Array.isArray(body) ? body[0] : body)?.error
    return typeof error === 'object' && error !== null && !Array.isArray(error) ? error : undefined
  } catch {
    return undefined
  }
}

/** A key that is none is told as an invalid argument (google.rpc.ErrorInfo of AI Studio). */
function isAboutKey(error: Json | undefined): boolean {
  return detailsOf(error).some(({ reason }) => typeof reason === 'string' && reason.startsWith('API_KEY_'))
}

function isTooLong(error: Json | undefined): boolean {
  const message = typeof error?.message === 'string' ? error.message : ''
  return message.includes('token count') && message.includes('exceeds the maximum number of tokens')
}

/** google.rpc.RetryInfo; past a minute the client is better told no. */
function retryAfter(error: Json | undefined, retry: boolean): Pick<Refusal, 'retryAfterS' | 'final'> {
  const delay = detailsOf(error).find(({ retryDelay }) => typeof retryDelay === 'string')?.retryDelay
  const seconds = Math.ceil(Number(/^(\d{1,6}(?:\.\d{1,9})?)s$/.exec(delay ?? '')?.[1] ?? Number.NaN))
  if (!retry || !(seconds >= 0)) return {}
  return seconds <= 60 ? { retryAfterS: seconds } : { final: true }
}

function detailsOf(error: Json | undefined): Json[] {
  return Array.isArray(error?.details) ? error.details.filter((detail) => typeof detail === 'object' && detail) : []
}

/** google.rpc.Code by HTTP status; what is not here is UNAVAILABLE. */
const codes: Record<number, string> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  402: 'FAILED_PRECONDITION',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  410: 'NOT_FOUND',
  413: 'INVALID_ARGUMENT',
  422: 'INVALID_ARGUMENT',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  504: 'DEADLINE_EXCEEDED',
}

/** A refusal as Google tells errors; our code is the `reason` of its ErrorInfo. */
export function renderGeminiRefusal(refusal: Refusal): string {
  const { status } = refusals[refusal.refused]
  const metadata = refusal.param ? { metadata: { field: refusal.param } } : {}
  const info = { '@type': `${types}.ErrorInfo`, reason: refusal.refused.toUpperCase(), domain: 'sluice', ...metadata }
  const retry = { '@type': `${types}.RetryInfo`, retryDelay: `${refusal.retryAfterS}s` }
  const details = refusal.retryAfterS === undefined ? [info] : [info, retry]
  const error = { code: status, message: refusalMessage(refusal), status: codes[status] ?? 'UNAVAILABLE', details }
  return JSON.stringify({ error })
}

const types = 'type.googleapis.com/google.rpc'

/** A refusal as the last of a stream: an event, or the last element of a list, which it closes. */
export function renderGeminiStreamRefusal(refusal: Refusal, told?: string, stream?: BrokenStream): string {
  const error = told === undefined ? undefined : parseError(told)
  const text = error ? JSON.stringify({ error }) : renderGeminiRefusal(refusal)
  if ((stream?.request as GeminiRequest | undefined)?.framing !== 'array') return `data: ${text}\r\n\r\n`
  return `${stream!.begun ? ',\r\n' : '['}${text}]`
}
