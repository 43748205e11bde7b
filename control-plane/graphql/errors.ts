import { GraphQLError } from 'graphql'
import { DatabaseUnavailable } from '../db/trouble.ts'

/**
 * Errors of the first channel: what no form can fix. They stand in the answer's `errors`, each with
 * `extensions { code requestId retryable }`. What a caller can act on is a UserError in a mutation's payload.
 */
export const errorCodes = {
  UNAUTHENTICATED: {
    status: 401,
    retryable: false,
    message: 'Sign in: send an admin token as Authorization: Bearer sla_…',
  },
  NOT_PERMITTED: { status: 403, retryable: false, message: 'You may not do that.' },
  UNKNOWN_TENANT: {
    status: 404,
    retryable: false,
    message: 'There is no such tenant as x-sluice-tenant names, or it is not yours to act in.',
  },
  FOREIGN_ORIGIN: { status: 403, retryable: false, message: 'This address does not answer pages of other origins.' },
  UNKNOWN_DOCUMENT: {
    status: 403,
    retryable: false,
    message: 'A browser session may only send the documents of its page; send an admin token to ask anything.',
  },
  UNSUPPORTED_MEDIA_TYPE: { status: 415, retryable: false, message: 'Send application/json.' },
  BAD_REQUEST: { status: 400, retryable: false, message: 'The request could not be read.' },
  BAD_DOCUMENT: { status: 400, retryable: false, message: 'The document does not fit the schema.' },
  TOO_COMPLEX: { status: 400, retryable: false, message: 'The document asks for too much at once.' },
  TOO_LARGE: { status: 413, retryable: false, message: 'The request body is too large.' },
  CURSOR_EXPIRED: {
    status: 410,
    retryable: false,
    message: 'after is older than what is kept; read the present state and begin from its cursor.',
  },
  TOO_SLOW: {
    status: 429,
    retryable: true,
    message: 'This stream was not read fast enough; go on from the last cursor.',
  },
  RATE_LIMITED: {
    status: 429,
    retryable: true,
    message: 'The API quota of this caller is spent for this minute; { apiQuota { remaining resetsAt } } tells it.',
  },
  TOO_MANY_STREAMS: { status: 429, retryable: true, message: 'Too many streams are open.' },
  UNAVAILABLE: { status: 503, retryable: true, message: 'The control plane cannot answer right now.' },
  INTERNAL: { status: 500, retryable: true, message: 'Something went wrong here. The request id names it in the log.' },
} as const

export type RequestErrorCode = keyof typeof errorCodes

/** An error of the first channel; the message may say more about this case, but never holds secrets or internals. */
export function requestError(
  code: RequestErrorCode,
  message: string = errorCodes[code].message,
  { retryAfterMs, headers }: { retryAfterMs?: number; headers?: Record<string, string> } = {},
): GraphQLError {
  const http = { status: errorCodes[code].status, ...(headers && { headers }) }
  return new GraphQLError(message, { extensions: { code, ...(retryAfterMs && { retryAfterMs }), http } })
}

const aborted = 'Validation aborted.'

/** The code of an error that graphql-js, Yoga or we made on purpose; undefined for all others, which are bugs. */
function knownCode(error: GraphQLError): RequestErrorCode | undefined {
  const code = error.extensions.code
  if (typeof code === 'string' && code in errorCodes) return code as RequestErrorCode
  const original = error.originalError
  if (original instanceof DatabaseUnavailable) return 'UNAVAILABLE'
  if (original instanceof GraphQLError) return knownCode(original)
  // Fields that would have to be compared with each other more often than graphql-js does.
  if (error.message === aborted) return 'TOO_COMPLEX'
  // An argument or variable that a scalar refused, or a document that did not parse or validate.
  const http = error.extensions.http as { status?: number } | undefined
  if (!original) return (http?.status ?? 400) < 500 ? (http?.status === 413 ? 'TOO_LARGE' : 'BAD_DOCUMENT') : undefined
  return undefined
}

/**
 * What a caller sees of an error: the message only if it was made for callers, else a masked one. `report` hears of the
 * masked ones. An error that was finished before stays as it is.
 */
export function finishError(error: unknown, requestId: string, report: (error: unknown, requestId: string) => void) {
  if (error instanceof GraphQLError && typeof error.extensions.requestId === 'string') return error
  const located = error instanceof GraphQLError ? error : undefined
  const code = located ? knownCode(located) : undefined
  if (!code) report(located?.originalError ?? error, requestId)
  const told = located?.message === aborted ? errorCodes.TOO_COMPLEX.message : located?.message
  const row = errorCodes[code ?? 'INTERNAL']
  return new GraphQLError(code && told ? shortened(withoutValues(told)) : errorCodes.INTERNAL.message, {
    nodes: located?.nodes,
    source: located?.source,
    positions: located?.positions,
    path: located?.path,
    extensions: {
      code: code ?? 'INTERNAL',
      requestId,
      retryable: row.retryable,
      ...(code && located?.extensions.retryAfterMs ? { retryAfterMs: located.extensions.retryAfterMs } : {}),
      // Yoga reads the status from here and leaves it out of the answer. A result with data is 200.
      ...(located?.path ? {} : { http: httpOf(located, row) }),
    },
  })
}

const messageCharactersMax = 500

/** A name out of the document may be as long as the document, and stand in each of a hundred errors. */
const shortened = (message: string) =>
  message.length > messageCharactersMax ? `${message.slice(0, messageCharactersMax)} …` : message

/**
 * A document that does not fit is answered with 200 where the client takes plain JSON, as GraphQL over HTTP has it (Yoga's
 * `spec` mark); a request that cannot be read never is.
 */
function httpOf(error: GraphQLError | undefined, row: { status: number }): object {
  const given = error?.extensions.http as { status?: number; spec?: boolean; headers?: object } | undefined
  if (!given) return { status: row.status }
  const { spec, ...http } = given
  return error?.extensions.code === 'BAD_REQUEST' ? http : { ...http, spec }
}

const tails =
  /; (Field "[^"]*" (?:of required type "[^"]*" was not provided|is not defined by type "[^"]*"|must be non-null)|Exactly one key must be specified for OneOf type "[^"]*"|Expected (?:non-nullable )?type "[^"]*"(?: not to be null| to be an object)?)/g

/**
 * graphql-js repeats the value it could not use, and that value may be or hold a secret (a credentialSet without its
 * idempotency key). What is wrong and where is enough.
 */
export function withoutValues(message: string): string {
  const variable = /^Variable "(\$\w+)" got invalid value /.exec(message)
  if (!variable)
    return message.replace(/(non[ -][\w -]+ value): [\s\S]*$/, '$1.').replace(/found String "[\s\S]*"/, 'found String')
  const tail = [...message.matchAll(tails)].at(-1)
  const path = tail && / at "([\w.[\]]+)"$/.exec(message.slice(0, tail.index))?.[1]
  return `Variable "${variable[1]}" does not fit${path ? ` at "${path}"` : ''}${tail ? `: ${tail[1]}` : ''}.`
}
