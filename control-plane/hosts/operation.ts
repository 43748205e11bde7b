import { type DocumentNode, type ExecutionResult, GraphQLError, type ParseOptions, parse } from 'graphql'
import type { Context } from '../domain/context.ts'
import type { GraphContext } from '../graphql/context.ts'
import { finishError, requestError } from '../graphql/errors.ts'
import { checkDocument, documentLimits, textError, tooMuch } from '../graphql/limits.ts'
import type { Quota } from '../graphql/quota.ts'
import type { Authenticator } from './authenticators.ts'
import { type Caller, isCaller, type NoCaller } from './caller.ts'

/** What the host knows of a request before GraphQL begins. */
export interface HostContext {
  caller: Caller | NoCaller
  requestId: string
}

export interface GraphqlOptions {
  ctx: Context
  /** Asked in this order who a caller is. */
  authenticators: readonly Authenticator[]
  quota: Quota
  bodyBytesMax: number
  /** Documents that a browser session may send. */
  sessionDocuments: ReadonlySet<string>
  report: (error: unknown, requestId: string) => void
}

/** What a client sends, by whichever way. */
export interface OperationParams {
  query?: string | null
  operationName?: string | null
  variables?: unknown
}

/** Of one socket: the largest message, how many operations it may have open, and how long it may take to say hello. */
export const socketBounds = { messageBytesMax: 1024 * 1024, operationsMax: 50, initWaitMs: 3_000 }

/** Code of a socket whose caller is not, or no longer, signed in. graphql-ws clients take it as worth another try. */
export const forbidden = 4403
/** Code of a socket whose hello names a tenant that is none: graphql-ws clients do not try again. */
export const badHello = 4400
/** As registered with IANA; graphql-ws clients take it as worth another try. */
const tryAgainLater = 1013

/** How a socket that may not be opened is closed. The reason is at most 123 bytes long. */
export function closingOf(refusal: NoCaller): [code: number, reason: string] {
  if (refusal.extensions.code === 'UNAUTHENTICATED') return [forbidden, 'Forbidden']
  if (refusal.extensions.code === 'UNAVAILABLE') return [tryAgainLater, 'Try again later']
  return [badHello, refusal.message]
}

/** Context of one operation. Only signed-in callers come so far. */
export function contextOf(domain: Context, caller: Caller | NoCaller, requestId: string): GraphContext {
  if (!isCaller(caller)) throw caller
  return { domain, actor: caller.actor, requestId, recheck: caller.recheck }
}

/** Why this caller may not send this document at all; undefined = it may. */
export function refusalOf(
  caller: Caller | NoCaller,
  { query, variables }: OperationParams,
  sessionDocuments: ReadonlySet<string>,
): GraphQLError | undefined {
  if (!isCaller(caller)) return caller
  if (caller.via === 'session' && !sessionDocuments.has(String(query ?? '').trim()))
    return requestError('UNKNOWN_DOCUMENT')
  return textError(String(query ?? ''), variables)
}

/** Parses no more than so many tokens, and lets nothing oversized through to validation. */
export function parseBounded(source: string, given: ParseOptions = {}): DocumentNode {
  try {
    const document = parse(source, { ...given, maxTokens: documentLimits.tokens })
    checkDocument(document)
    return document
  } catch (error) {
    throw parseError(error)
  }
}

/** What a document that could not be parsed is answered with. */
export function parseError(error: unknown): unknown {
  if (error instanceof GraphQLError && /more that? \d+ tokens/.test(error.message))
    return tooMuch('tokens', documentLimits.tokens)
  // Braces nested thousands deep are within the token limit but not within the stack.
  if (error instanceof RangeError) return tooMuch('depth', documentLimits.depth)
  return error
}

/** A result whose errors are fit to be seen. */
export function finishResult(
  result: ExecutionResult,
  requestId: string,
  report: GraphqlOptions['report'],
): ExecutionResult {
  if (!result.errors) return result
  return { ...result, errors: result.errors.map((error) => finishError(error, requestId, report)) }
}

/** A status is a matter between a host and its reader: it is no part of what is sent. */
export function withoutHttp(error: GraphQLError): GraphQLError {
  const { http: _, ...extensions } = error.extensions
  return new GraphQLError(error.message, { ...error, nodes: error.nodes, extensions })
}
