import './mercurius-lacks.ts'
import type { AddressInfo } from 'node:net'
import websocket from '@fastify/websocket'
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws'
import mercurius from 'mercurius'
import { mintId } from '../../schema/ids.ts'
import { DatabaseUnavailable } from '../db/trouble.ts'
import type { Context } from '../domain/context.ts'
import { charge } from '../graphql/charge.ts'
import type { GraphContext } from '../graphql/context.ts'
import { errorCodes, type RequestErrorCode } from '../graphql/errors.ts'
import { documentLimits } from '../graphql/limits.ts'
import { Quota } from '../graphql/quota.ts'
import { schema } from '../graphql/schema.ts'
import { isForeign } from '../sessions/origin.ts'
import { adminToken } from './authenticators.ts'
import { callerOf, isCaller, presentedBy } from './caller.ts'
import { addressUrl, cannotListen } from './listening.ts'
import { isJson } from './media-type.ts'
import {
  answer,
  boundedDocument,
  fittingMethod,
  headersOf,
  type Incoming,
  paramsOfAddress,
} from './mercurius-answer.ts'
import { mercuriusSocket } from './mercurius-socket.ts'
import { type GraphqlOptions, socketBounds } from './operation.ts'
import { readinessOf } from './ready.ts'
import type { ControlPlaneServer, ServeOptions } from './yoga.ts'

const mebibyte = 1024 * 1024
const stopGraceMs = 1_000
/** How long a request may take to arrive. */
const requestTimeoutMs = 60_000

/**
 * The same API on Fastify and Mercurius, for places that run Node: `/graphql` by POST, GET and WebSocket, `/healthz`,
 * `/readyz`. It has no server-sent events, no dashboard and no sessions, and carries no mounts.
 */
export async function serveMercurius(ctx: Context, options: Omit<ServeOptions, 'mounts'>): Promise<ControlPlaneServer> {
  const { host, port, tls } = options
  const graphql: GraphqlOptions = {
    ctx,
    authenticators: options.authenticators ?? [adminToken],
    quota: new Quota(ctx.clock, options.apiQuota),
    bodyBytesMax: options.bodyBytesMax ?? 16 * mebibyte,
    sessionDocuments: new Set(),
    report: options.report ?? ((error, requestId) => console.error(`${requestId}:`, error)),
  }
  const app = fastify({
    ...(tls && { https: tls }),
    logger: false,
    bodyLimit: graphql.bodyBytesMax,
    requestTimeout: requestTimeoutMs,
    genReqId: () => mintId('correlation'),
    exposeHeadRoutes: false,
  }) as unknown as FastifyInstance
  await app.register(mercurius, {
    schema,
    routes: false,
    graphql: { parseOptions: { maxTokens: documentLimits.tokens } },
    // Errors are finished by `answerTo`; Mercurius would make plain objects of them before that.
    errorFormatter: (execution) => ({ statusCode: 200, response: execution }),
  })
  app.graphql.addHook('preValidation', async (_, document) => boundedDocument(document))
  app.graphql.addHook('preExecution', async (_, document, context, variables) => {
    const { operationName } = context as { operationName?: string }
    fittingMethod(document, context as never)
    const spent = charge(context as unknown as GraphContext, graphql.quota, { document, operationName, variables })
    if (spent) throw spent
  })
  await app.register(websocket, {
    options: { maxPayload: socketBounds.messageBytesMax, handleProtocols: () => GRAPHQL_TRANSPORT_WS_PROTOCOL },
    errorHandler(error: Error & { code?: string }, socket, request) {
      // A frame that is none, or too large, is the client's mistake; ws closes the socket with the code for it.
      if (error.code?.startsWith('WS_ERR_') || error.code === 'ECONNRESET') return
      graphql.report(error, request.id)
      socket.terminate()
    },
  })
  routes(app, graphql)
  return listening(app, host, port, tls !== undefined)
}

async function listening(
  app: FastifyInstance,
  host: string,
  port: number,
  secure: boolean,
): Promise<ControlPlaneServer> {
  try {
    await app.listen({ host, port })
  } catch (error) {
    throw cannotListen(error, host, port)
  }
  const listens = app.server.address() as AddressInfo
  return {
    url: addressUrl(host, listens.port, secure),
    port: listens.port,
    async stop() {
      const late = setTimeout(() => {
        for (const socket of app.websocketServer.clients) socket.terminate()
        app.server.closeAllConnections()
      }, stopGraceMs)
      await app.close()
      clearTimeout(late)
    },
  }
}

function routes(app: FastifyInstance, graphql: GraphqlOptions): void {
  // A stranger's body is not even read; what a page of another origin sends is not looked at.
  const onRequest = (request: FastifyRequest, reply: FastifyReply) => admit(graphql, request, reply)
  app.decorateRequest('caller', undefined)
  app.post('/graphql', {
    onRequest,
    handler: (request, reply) => answer(app, graphql, request, reply, request.body),
  })
  app.route({
    method: 'GET',
    url: '/graphql',
    onRequest,
    handler: (request, reply) => answer(app, graphql, request, reply, paramsOfAddress(request)),
    wsHandler: mercuriusSocket(graphql),
  })
  app.route({
    method: ['PUT', 'PATCH', 'DELETE', 'OPTIONS', 'HEAD'],
    url: '/graphql',
    handler: (request, reply) => refuse(reply.header('allow', 'GET, POST'), 'BAD_REQUEST', request.id, { status: 405 }),
  })
  app.addContentTypeParser(
    'application/graphql+json',
    { parseAs: 'string' },
    app.getDefaultJsonParser('error', 'error'),
  )
  app.get('/healthz', () => 'ok\n')
  app.get('/readyz', async (_, reply) => {
    const { ready, line } = await readinessOf(graphql.ctx)
    return ready ? line : reply.code(503).header('retry-after', '2').send(line)
  })
  app.setNotFoundHandler((_, reply) => reply.code(404).send('Not found. There is /graphql, /healthz and /readyz.\n'))
  app.setErrorHandler((error: { statusCode?: number }, request, reply) => {
    if (error instanceof DatabaseUnavailable)
      return refuse(reply, 'UNAVAILABLE', request.id, { message: error.message })
    const code = codeOfStatus(error.statusCode)
    if (code === 'INTERNAL') graphql.report(error, request.id)
    return refuse(reply, code, request.id)
  })
}

/** Fastify's own refusals carry a status; everything else is a bug. */
function codeOfStatus(status: number | undefined): RequestErrorCode {
  if (status === 413) return 'TOO_LARGE'
  if (status === 415) return 'UNSUPPORTED_MEDIA_TYPE'
  return status !== undefined && status >= 400 && status < 500 ? 'BAD_REQUEST' : 'INTERNAL'
}

async function admit(graphql: GraphqlOptions, request: Incoming, reply: FastifyReply): Promise<unknown> {
  const asked = new Request('http://localhost/graphql', { headers: headersOf(request) })
  if (isForeign(asked)) return refuse(reply, 'FOREIGN_ORIGIN', request.id)
  if (request.ws) {
    const offered = String(request.headers['sec-websocket-protocol'] ?? '').split(',')
    if (offered.some((protocol) => protocol.trim() === GRAPHQL_TRANSPORT_WS_PROTOCOL)) return undefined
    return reply.code(400).send(`This socket speaks ${GRAPHQL_TRANSPORT_WS_PROTOCOL}.\n`)
  }
  if (Number(request.headers['content-length'] ?? 0) > graphql.bodyBytesMax)
    return refuse(reply, 'TOO_LARGE', request.id)
  if (request.method === 'POST' && !isJson(request.headers['content-type'] ?? ''))
    return refuse(reply, 'UNSUPPORTED_MEDIA_TYPE', request.id)
  const caller = await callerOf(graphql.ctx, graphql.authenticators, presentedBy(asked.headers, request.ip))
  if (!isCaller(caller))
    return refuse(reply, caller.extensions.code as RequestErrorCode, request.id, { message: caller.message })
  request.caller = caller
  return undefined
}

function refuse(
  reply: FastifyReply,
  code: RequestErrorCode,
  requestId: string,
  { status = errorCodes[code].status, message = errorCodes[code].message }: { status?: number; message?: string } = {},
): FastifyReply {
  const { retryable } = errorCodes[code]
  const body = { errors: [{ message, extensions: { code, requestId, retryable } }] }
  return reply.code(status).header('x-sluice-request-id', requestId).send(body)
}
