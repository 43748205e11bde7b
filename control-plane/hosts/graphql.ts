import { isAsyncIterable } from '@envelop/core'
import { type ExecutionResult, GraphQLError, parse } from 'graphql'
import { createYoga, type Plugin, type YogaInitialContext } from 'graphql-yoga'
import type { Context } from '../domain/context.ts'
import type { GraphContext } from '../graphql/context.ts'
import { finishError, requestError } from '../graphql/errors.ts'
import { checkDocument, documentLimits, textError, tooMuch } from '../graphql/limits.ts'
import { schema } from '../graphql/schema.ts'
import type { Caller } from './caller.ts'
import { resumableSse } from './sse.ts'

/** What the host knows of a request before GraphQL begins. */
export interface HostContext {
  caller: Caller | undefined
  requestId: string
}

export interface GraphqlOptions {
  ctx: Context
  bodyBytesMax: number
  /** Documents that a browser session may send. */
  sessionDocuments: ReadonlySet<string>
  report: (error: unknown, requestId: string) => void
}

type Initial = YogaInitialContext & HostContext

/**
 * Yoga with our rules as envelop plugins: HTTP and WebSocket run the same ones. Yoga's own GraphiQL, CORS, health check and
 * landing page are off, since Bun.serve answers those.
 */
export function makeYoga(options: GraphqlOptions) {
  const { ctx, report } = options
  return createYoga<HostContext, GraphContext>({
    schema,
    graphqlEndpoint: '/graphql',
    graphiql: false,
    landingPage: false,
    cors: false,
    batching: false,
    multipart: false,
    logging: false,
    maxRequestBodySize: options.bodyBytesMax,
    context: ({ caller, requestId }: Initial) => contextOf(ctx, caller, requestId),
    // Errors are masked by `finishedErrors`, on every way out.
    maskedErrors: { maskError: (error) => error as Error },
    plugins: [admission(options.sessionDocuments), boundedDocuments(), finishedErrors(report), resumableSse()],
  })
}

export type Yoga = ReturnType<typeof makeYoga>

/** Context of one operation. Only signed-in callers come so far. */
export function contextOf(domain: Context, caller: Caller | undefined, requestId: string): GraphContext {
  if (!caller) throw requestError('UNAUTHENTICATED')
  return { domain, actor: caller.actor, requestId, recheck: caller.recheck }
}

/** Why this caller may not send this document at all; undefined = it may. */
export function refusalOf(
  caller: Caller | undefined,
  { query, variables }: { query?: string | null; variables?: unknown },
  sessionDocuments: ReadonlySet<string>,
): GraphQLError | undefined {
  if (!caller) return requestError('UNAUTHENTICATED')
  if (caller.via === 'session' && !sessionDocuments.has(String(query ?? '').trim()))
    return requestError('UNKNOWN_DOCUMENT')
  return textError(String(query ?? ''), variables)
}

/** Nothing is parsed for a stranger, so that the schema cannot be guessed from its error messages. */
function admission(sessionDocuments: ReadonlySet<string>): Plugin<object, HostContext> {
  return {
    onParams({ params, context, setResult }) {
      const refusal = refusalOf(context.caller, params, sessionDocuments)
      if (refusal) setResult({ errors: [refusal] })
    },
  }
}

/** Parses no more than so many tokens, and lets nothing oversized through to validation. */
function boundedDocuments(): Plugin {
  return {
    onParse({ setParseFn }) {
      setParseFn((source: string, given: object) => {
        const document = parseBounded(source, given)
        checkDocument(document)
        return document
      })
    },
  }
}

function parseBounded(source: string, given: object) {
  try {
    return parse(source, { ...given, maxTokens: documentLimits.tokens })
  } catch (error) {
    if (error instanceof GraphQLError && /more that? \d+ tokens/.test(error.message))
      throw tooMuch('tokens', documentLimits.tokens)
    // Braces nested thousands deep are within the token limit but not within the stack.
    if (error instanceof RangeError) throw tooMuch('depth', documentLimits.depth)
    throw error
  }
}

/** Every error that leaves over HTTP carries code, request id and whether to try again; bugs are masked and reported. */
function finishedErrors(report: GraphqlOptions['report']): Plugin<object, HostContext> {
  return {
    onExecutionResult({ result, setResult, context }) {
      const { requestId } = context as unknown as HostContext
      const finish = (one: ExecutionResult) => finishResult(one, requestId, report)
      if (isAsyncIterable(result)) setResult(mapEach(result as AsyncIterable<ExecutionResult>, finish))
      else if (result) setResult(finish(result as ExecutionResult))
    },
    /** A request that could not even be read comes by no other hook. */
    onResultProcess({ result, setResult, serverContext }) {
      if (!isAsyncIterable(result) && !Array.isArray(result))
        setResult(finishResult(result as ExecutionResult, serverContext.requestId, report))
    },
  }
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

/** As `map` of an array. Not an async generator: `return` must reach the source even while its `next` is pending. */
function mapEach<T>(source: AsyncIterable<T>, map: (value: T) => T): AsyncIterableIterator<T> {
  const iterator = source[Symbol.asyncIterator]()
  return {
    [Symbol.asyncIterator]() {
      return this
    },
    async next() {
      const next = await iterator.next()
      return next.done ? next : { done: false, value: map(next.value) }
    },
    async return(value) {
      await iterator.return?.(value)
      return { done: true, value }
    },
  }
}
