import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type ExecutionResult, GraphQLError, getOperationAST, Location } from 'graphql'
import { requestError } from '../graphql/errors.ts'
import { checkDocument } from '../graphql/limits.ts'
import type { Caller, NoCaller } from './caller.ts'
import {
  contextOf,
  finishResult,
  type GraphqlOptions,
  type OperationParams,
  parseError,
  refusalOf,
  withoutHttp,
} from './operation.ts'

/** A request that may have been admitted already. */
export type Incoming = FastifyRequest & { caller?: Caller | NoCaller }

/** Its headers as the rest of the house takes them; one that came twice is joined. */
export function headersOf(request: FastifyRequest): Headers {
  const headers = new Headers()
  for (const [name, value] of Object.entries(request.headers)) if (value !== undefined) headers.set(name, String(value))
  return headers
}

/** The parameters of `GET /graphql?query=…`. */
export function paramsOfAddress(request: FastifyRequest): unknown {
  const { query, operationName, variables, extensions } = request.query as Record<string, string | undefined>
  return { query, operationName, variables: jsonOf(variables), extensions: jsonOf(extensions) }
}

const unreadable = Symbol('unreadable')

function jsonOf(text: string | undefined): unknown {
  try {
    return text ? JSON.parse(text) : undefined
  } catch {
    return unreadable
  }
}

const isMap = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Parameters as GraphQL over HTTP has them, or what is wrong with them. */
function readParams(given: unknown): OperationParams | GraphQLError {
  if (!isMap(given)) return requestError('BAD_REQUEST', 'Send one object: { "query": …, "variables": … }.')
  const { query, operationName, variables, extensions } = given as Record<string, unknown>
  if (typeof query !== 'string') return requestError('BAD_REQUEST', '"query" must be a string.')
  if (operationName != null && typeof operationName !== 'string')
    return requestError('BAD_REQUEST', '"operationName" must be a string.')
  for (const [name, value] of Object.entries({ variables, extensions }))
    if (value != null && !isMap(value)) return requestError('BAD_REQUEST', `"${name}" must be an object.`)
  return { query, operationName: operationName as string | null, variables }
}

const mediaTypes = ['application/graphql-response+json', 'application/json']

/** Runs what was asked through Mercurius, and answers as GraphQL over HTTP has it. */
export async function answer(
  app: FastifyInstance,
  graphql: GraphqlOptions,
  request: Incoming,
  reply: FastifyReply,
  given: unknown,
): Promise<FastifyReply> {
  const type = acceptedType(request.headers.accept)
  if (!type) return reply.code(406).header('accept', mediaTypes.join(', ')).send('')
  const result = await execute(app, graphql, request, readParams(given))
  const finished = finishResult(result, request.id, graphql.report)
  reply.code(statusOf(finished, type)).type(`${type}; charset=utf-8`).header('x-sluice-request-id', request.id)
  for (const error of finished.errors ?? []) reply.headers(httpOf(error).headers ?? {})
  return reply.send(
    JSON.stringify(finished.errors ? { ...finished, errors: finished.errors.map(withoutHttp) } : finished),
  )
}

async function execute(
  app: FastifyInstance,
  { ctx, sessionDocuments }: GraphqlOptions,
  request: Incoming,
  params: OperationParams | GraphQLError,
): Promise<ExecutionResult> {
  if (params instanceof GraphQLError) return { errors: [params] }
  const caller = request.caller ?? requestError('UNAUTHENTICATED')
  const refusal = refusalOf(caller, params, sessionDocuments)
  if (refusal) return { errors: [refusal] }
  const { query, operationName, variables } = params
  const asked = { ...contextOf(ctx, caller, request.id), operationName, method: request.method }
  try {
    return await app.graphql(query!, asked, (variables as object | null) ?? undefined, operationName ?? undefined)
  } catch (error) {
    // What parsing and validation found, or what a hook refused.
    const found = (error as { errors?: unknown[] }).errors
    return { errors: found ? found.map(documentError) : [error as GraphQLError] }
  }
}

/** A document that does not fit is a 200 to clients that take plain JSON, as GraphQL over HTTP has it. */
function documentError(found: unknown): GraphQLError {
  const error = parseError(found)
  if (!(error instanceof GraphQLError) || error.extensions.code) return error as GraphQLError
  return new GraphQLError(error.message, {
    ...error,
    nodes: error.nodes,
    originalError: error.originalError,
    extensions: { ...error.extensions, http: { spec: true, status: 400 } },
  })
}

/**
 * Before validation. Mercurius takes a document as JSON too, which was never measured in tokens: only what the parser made has
 * a Location.
 */
export function boundedDocument(document: Parameters<typeof checkDocument>[0] | null): void {
  if (!(document?.loc instanceof Location)) throw documentError(new GraphQLError('The document is no GraphQL.'))
  checkDocument(document)
}

/** Before execution: mutations by POST only, subscriptions by WebSocket only. */
export function fittingMethod(
  document: Parameters<typeof getOperationAST>[0],
  { method, operationName }: { method: string; operationName?: string },
): void {
  const operation = getOperationAST(document, operationName)?.operation
  if (!operation) throw requestError('BAD_DOCUMENT', 'Could not determine what operation to execute.')
  if (operation === 'subscription') throw unfit(406, 'Subscriptions go over a WebSocket here: graphql-transport-ws.')
  if (operation === 'mutation' && method !== 'POST') throw unfit(405, 'Mutations go by POST.', { allow: 'POST' })
}

function unfit(status: number, message: string, headers: Record<string, string> = {}): GraphQLError {
  return new GraphQLError(message, { extensions: { code: 'BAD_REQUEST', http: { status, headers } } })
}

interface Http {
  status?: number
  spec?: boolean
  headers?: Record<string, string>
}
const httpOf = (error: GraphQLError) => (error.extensions.http ?? {}) as Http

/** As Yoga does it: the highest status of the errors, where none came from a field. */
function statusOf(result: ExecutionResult, type: string): number {
  const statuses = (result.errors ?? [])
    .map(httpOf)
    .filter(({ spec }) => !(spec && type === 'application/json'))
    .map(({ status }) => status ?? 200)
  return Math.max(200, ...statuses)
}

/** The better liked of the two types that answers have; plain JSON where the client does not say. */
function acceptedType(accept = '*/*'): string | undefined {
  const liked = accept
    .toLowerCase()
    .split(',')
    .map((part) => part.split(';').map((piece) => piece.trim()))
    .filter(([, ...params]) => params.every((param) => !/^charset=/.test(param) || /^charset="?utf-?8"?$/.test(param)))
    .map(([type, ...params]) => ({
      type,
      quality: Number(params.find((param) => param.startsWith('q='))?.slice(2) ?? 1),
    }))
    .filter(({ quality }) => quality > 0)
    .sort((a, b) => b.quality - a.quality)
  for (const { type } of liked) {
    if (type && mediaTypes.includes(type)) return type
    if (type === '*/*' || type === 'application/*') return 'application/json'
  }
  return undefined
}
