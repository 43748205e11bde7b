import type { Server, ServerWebSocket, WebSocketHandler } from 'bun'
import { type ExecutionArgs, type ExecutionResult, GraphQLError } from 'graphql'
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws'
import { makeHandler } from 'graphql-ws/use/bun'
import { mintId } from '../../schema/ids.ts'
import { DatabaseUnavailable } from '../db/trouble.ts'
import { finishError, requestError } from '../graphql/errors.ts'
import type { Presented } from './authenticators.ts'
import { type Caller, callerOf, isCaller, presentedByHello } from './caller.ts'
import type { Yoga } from './graphql.ts'
import {
  closingOf,
  finishResult,
  forbidden,
  type GraphqlOptions,
  refusalOf,
  socketBounds,
  withoutHttp,
} from './operation.ts'

export interface GraphqlSocketData {
  kind: 'graphql'
  /** What the handshake presented: the cookie of a page of ours, the tenant. The hello comes on top. */
  handshake: Presented
  caller: Caller | undefined
}

type Socket = ServerWebSocket<GraphqlSocketData>
type Enveloped = ExecutionArgs & {
  rootValue: { execute: (args: unknown) => ExecutionResult; subscribe: (args: unknown) => ExecutionResult }
  requestId: string
}

/** GraphQL over graphql-transport-ws, through the same envelop pipeline as HTTP. */
export function graphqlSocket(yoga: Yoga, options: GraphqlOptions): WebSocketHandler<GraphqlSocketData> {
  const handler = makeHandler({
    connectionInitWaitTimeout: socketBounds.initWaitMs,
    onConnect: async ({ extra, connectionParams }) => {
      const socket = socketOf(extra)
      const presented = presentedByHello(socket.data.handshake, connectionParams)
      const found = await callerOf(options.ctx, options.authenticators, presented).catch(unavailable)
      if (isCaller(found)) socket.data.caller = found
      else socket.close(...closingOf(found))
      return isCaller(found)
    },
    onSubscribe: async ({ extra, subscriptions }, _id, params) => {
      const socket = socketOf(extra)
      if (Object.keys(subscriptions).length > socketBounds.operationsMax) return [requestError('TOO_MANY_STREAMS')]
      const caller = await stillGood(socket).catch(unavailable)
      if (!caller) return [requestError('UNAUTHENTICATED')]
      if (caller instanceof GraphQLError) return [caller]
      const refusal = refusalOf(caller, params, options.sessionDocuments)
      return refusal ? [refusal] : prepare(yoga, caller, params)
    },
    execute: (args) => (args as Enveloped).rootValue.execute(args),
    subscribe: (args) => (args as Enveloped).rootValue.subscribe(args),
    onNext: (_context, _id, _payload, args, result) => {
      const finished = finishResult(result as ExecutionResult, (args as Enveloped).requestId, options.report)
      return finished.errors ? { ...finished, errors: finished.errors.map(withoutHttp) } : finished
    },
    onError: (_context, _id, _payload, errors) => {
      const requestId = mintId('correlation')
      return errors.map((error) => withoutHttp(finishError(error, requestId, options.report)))
    },
  }) as unknown as WebSocketHandler<GraphqlSocketData>
  return { ...handler, message: bounded(handler, socketBounds.messageBytesMax) }
}

function unavailable(error: unknown): GraphQLError {
  if (error instanceof DatabaseUnavailable) return requestError('UNAVAILABLE', error.message)
  throw error
}

const socketOf = (extra: { socket: unknown }) => extra.socket as Socket

/** A token may have been revoked since the socket opened: it then closes with 4403. */
async function stillGood(socket: Socket): Promise<Caller | undefined> {
  const { caller } = socket.data
  const actor = await caller?.recheck()
  if (caller && actor) return { ...caller, actor }
  socket.close(forbidden, 'Forbidden')
  return undefined
}

async function prepare(
  yoga: Yoga,
  caller: Caller,
  params: { query: string; operationName?: string | null; variables?: Record<string, unknown> | null },
) {
  const requestId = mintId('correlation')
  const enveloped = yoga.getEnveloped({ caller, requestId, params } as never)
  const { schema, execute, subscribe, contextFactory, parse, validate } = enveloped
  try {
    const document = parse(params.query)
    const invalid = validate(schema, document)
    if (invalid.length) return invalid as readonly GraphQLError[]
    return {
      schema,
      document,
      operationName: params.operationName,
      variableValues: params.variables,
      contextValue: await contextFactory(),
      rootValue: { execute, subscribe },
      requestId,
    } as ExecutionArgs
  } catch (error) {
    if (error instanceof GraphQLError) return [error]
    throw error
  }
}

function bounded(handler: WebSocketHandler<GraphqlSocketData>, bytesMax: number) {
  return (ws: Socket, message: string | Buffer) => {
    if (message.length > bytesMax) return ws.close(1009, 'Message too large')
    return handler.message?.(ws, message as never)
  }
}

/** Upgrades a request for `/graphql`; the answer, where it may not be. */
export function upgradeGraphql(
  request: Request,
  server: Server<GraphqlSocketData>,
  handshake: Presented,
): Response | undefined {
  const offered = request.headers.get('sec-websocket-protocol')?.split(',') ?? []
  if (!offered.some((protocol) => protocol.trim() === GRAPHQL_TRANSPORT_WS_PROTOCOL))
    return new Response(`This socket speaks ${GRAPHQL_TRANSPORT_WS_PROTOCOL}.\n`, { status: 400 })
  const upgraded = server.upgrade(request, {
    data: { kind: 'graphql', caller: undefined, handshake },
    headers: { 'sec-websocket-protocol': GRAPHQL_TRANSPORT_WS_PROTOCOL },
  })
  return upgraded ? undefined : new Response('This is a WebSocket address.\n', { status: 426 })
}
