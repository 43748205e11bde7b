import type { WebSocket, WebsocketHandler } from '@fastify/websocket'
import { type ExecutionArgs, type ExecutionResult, execute, type GraphQLError, subscribe, validate } from 'graphql'
import { CloseCode, makeServer, type SubscribePayload } from 'graphql-ws'
import { mintId } from '../../schema/ids.ts'
import { charge } from '../graphql/charge.ts'
import type { GraphContext } from '../graphql/context.ts'
import { finishError, requestError } from '../graphql/errors.ts'
import { schema } from '../graphql/schema.ts'
import type { Presented } from './authenticators.ts'
import { type Caller, callerOf, isCaller, presentedBy, presentedByHello } from './caller.ts'
import { headersOf } from './mercurius-answer.ts'
import {
  closingOf,
  contextOf,
  finishResult,
  type GraphqlOptions,
  parseBounded,
  refusalOf,
  socketBounds,
  withoutHttp,
} from './operation.ts'

/** What is known of one socket. */
interface Connection {
  socket: WebSocket
  handshake: Presented
  caller?: Caller
}

const pingMs = 12_000
/** What a socket may hold for a reader that does not keep up. */
const bufferedBytesMax = 16 * 1024 * 1024

/** graphql-transport-ws by graphql-ws. Mercurius' own socket lacks its close codes and runs subscriptions unvalidated. */
export function mercuriusSocket(graphql: GraphqlOptions): WebsocketHandler {
  const server = protocolServer(graphql)
  return (socket, request) => {
    const closed = server.opened(
      {
        protocol: socket.protocol,
        send: (data) => send(socket, data),
        close: (code, reason) => socket.close(code, reason),
        onMessage: (listen) =>
          socket.on('message', (data) =>
            listen(String(data)).catch((error) => {
              graphql.report(error, request.id)
              socket.close(CloseCode.InternalServerError, 'Internal error')
            }),
          ),
      },
      { socket, handshake: presentedBy(headersOf(request), request.ip) },
    )
    const stopPings = keepAlive(socket)
    socket.once('close', (code, reason) => {
      stopPings()
      void closed(code, String(reason))
    })
  }
}

/** Resolves when the message has left, so that a slow reader slows its own streams. */
function send(socket: WebSocket, data: string): Promise<void> {
  if (socket.bufferedAmount > bufferedBytesMax) socket.terminate()
  if (socket.readyState !== socket.OPEN) return Promise.resolve()
  return new Promise((resolve) => socket.send(data, () => resolve()))
}

/** Pings, and gives up on a reader that has not answered one by the next. */
function keepAlive(socket: WebSocket): () => void {
  let answered = true
  socket.on('pong', () => {
    answered = true
  })
  const timer = setInterval(() => {
    if (!answered) return socket.terminate()
    answered = false
    socket.ping()
  }, pingMs)
  return () => clearInterval(timer)
}

function protocolServer(graphql: GraphqlOptions) {
  const { ctx, authenticators, report } = graphql
  return makeServer<Record<string, unknown>, Connection & Record<PropertyKey, unknown>>({
    connectionInitWaitTimeout: socketBounds.initWaitMs,
    async onConnect({ extra, connectionParams }) {
      const found = await callerOf(ctx, authenticators, presentedByHello(extra.handshake, connectionParams))
      if (isCaller(found)) extra.caller = found
      else extra.socket.close(...closingOf(found))
      return isCaller(found)
    },
    async onSubscribe({ extra, subscriptions }, _id, params) {
      if (Object.keys(subscriptions).length > socketBounds.operationsMax) return [requestError('TOO_MANY_STREAMS')]
      const caller = await stillGood(extra)
      if (!caller) return [requestError('UNAUTHENTICATED')]
      const refusal = refusalOf(caller, params, graphql.sessionDocuments)
      return refusal ? [refusal] : prepare(graphql, caller, params)
    },
    execute,
    subscribe,
    onNext(_context, _id, _payload, args, result) {
      const { requestId } = args.contextValue as GraphContext
      const finished = finishResult(result as ExecutionResult, requestId, report)
      return finished.errors ? { ...finished, errors: finished.errors.map(withoutHttp) } : finished
    },
    onError(_context, _id, _payload, errors) {
      const requestId = mintId('correlation')
      return errors.map((error) => withoutHttp(finishError(error, requestId, report)))
    },
  })
}

/** A token may have been revoked since the socket opened: it then closes with 4403. */
async function stillGood({ caller, socket }: Connection): Promise<Caller | undefined> {
  const actor = await caller?.recheck()
  if (caller && actor) return { ...caller, actor }
  socket.close(CloseCode.Forbidden, 'Forbidden')
  return undefined
}

function prepare(
  { ctx, quota }: GraphqlOptions,
  caller: Caller,
  { query, operationName, variables }: SubscribePayload,
): ExecutionArgs | readonly GraphQLError[] {
  try {
    const document = parseBounded(query)
    const invalid = validate(schema, document)
    if (invalid.length > 0) return invalid
    const contextValue = contextOf(ctx, caller, mintId('correlation'))
    const spent = charge(contextValue, quota, { document, operationName, variables })
    if (spent) return [spent]
    return { schema, document, operationName, variableValues: variables, contextValue }
  } catch (error) {
    if (error instanceof Error && error.name === 'GraphQLError') return [error as GraphQLError]
    throw error
  }
}
