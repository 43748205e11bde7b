import { isAsyncIterable } from '@envelop/core'
import type { ExecutionArgs, ExecutionResult } from 'graphql'
import { createYoga, type Plugin, type YogaInitialContext } from 'graphql-yoga'
import { charge } from '../graphql/charge.ts'
import type { GraphContext } from '../graphql/context.ts'
import { requestError } from '../graphql/errors.ts'
import type { Quota } from '../graphql/quota.ts'
import { schema } from '../graphql/schema.ts'
import { mapEach } from './map-each.ts'
import { contextOf, finishResult, type GraphqlOptions, type HostContext, parseBounded, refusalOf } from './operation.ts'
import { sharedResults } from './shared-results.ts'
import { resumableSse } from './sse.ts'

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
    plugins: [
      readableAddresses(),
      admission(options.sessionDocuments),
      boundedDocuments(),
      charging(options.quota),
      finishedErrors(report),
      sharedResults(),
      resumableSse(),
    ],
  })
}

export type Yoga = ReturnType<typeof makeYoga>

/** Yoga takes `variables=x` in an address for a fault of its own; it is the caller's mistake. */
function readableAddresses(): Plugin {
  return {
    onRequestParse({ requestParser, setRequestParser }) {
      if (!requestParser) return
      setRequestParser(async (request) => {
        try {
          return await requestParser(request)
        } catch (error) {
          throw error instanceof SyntaxError ? requestError('BAD_REQUEST') : error
        }
      })
    },
  }
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
      setParseFn(parseBounded)
    },
  }
}

/** Takes an operation's points before it runs, over HTTP and over sockets. */
function charging(quota: Quota): Plugin<GraphContext> {
  const before = ({ args, setResultAndStopExecution }: Execution) => {
    const { document, operationName, variableValues: variables } = args
    const refusal = charge(args.contextValue as GraphContext, quota, { document, operationName, variables })
    if (refusal) setResultAndStopExecution({ errors: [refusal] })
  }
  return { onExecute: before, onSubscribe: before }
}

interface Execution {
  args: Pick<ExecutionArgs, 'document' | 'operationName' | 'contextValue'> & { variableValues?: never }
  setResultAndStopExecution: (result: ExecutionResult) => void
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
