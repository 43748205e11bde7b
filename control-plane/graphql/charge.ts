import { complexityFromQuery } from '@pothos/plugin-complexity'
import { type DocumentNode, GraphQLError, getOperationAST, Kind, visit } from 'graphql'
import { accountable } from '../domain/actor.ts'
import type { GraphContext } from './context.ts'
import { requestError } from './errors.ts'
import { costLimits, isIntrospection } from './limits.ts'
import type { Quota } from './quota.ts'
import { schema } from './schema.ts'

/** A valid document that is about to run. */
export interface Asked {
  document: DocumentNode
  operationName?: string | null
  variables?: Record<string, unknown> | null
}

/**
 * Takes an operation's points from its caller's quota, and notes them in its context. Every host does it before execution; a
 * stream costs once, when it begins. The error is what it is refused with.
 */
export function charge(ctx: GraphContext, quota: Quota, asked: Asked): GraphQLError | undefined {
  const cost = costOf(ctx, asked)
  // What is too dear at all is refused by its first field, in words of its own.
  if (cost === undefined || cost > costLimits.complexity) return undefined
  const { taken, ...charged } = quota.charge(accountable(ctx.actor).id, cost)
  ctx.charge = charged
  return taken ? undefined : spent(charged.resetsAt.getTime() - ctx.domain.clock.now())
}

/** Of each `__schema` and `__type`, whose fields Pothos does not see. The whole schema is some thousand of them. */
const introspectionCost = 1_000

function introspections(document: DocumentNode): number {
  let count = 0
  visit(document, {
    Field(field) {
      if (isIntrospection(field)) count += 1
    },
  })
  return count
}

/** Undefined where execution will find the operation or its variables wanting, and says so. */
function costOf(ctx: GraphContext, { document, operationName, variables }: Asked): number | undefined {
  const operation = getOperationAST(document, operationName)
  if (!operation) return undefined
  const fragments = document.definitions.filter(({ kind }) => kind === Kind.FRAGMENT_DEFINITION)
  const alone: DocumentNode = { kind: Kind.DOCUMENT, definitions: [operation, ...fragments] }
  try {
    const { complexity } = complexityFromQuery(alone, { schema, ctx, variables: variables ?? {} })
    return complexity + introspectionCost * introspections(alone)
  } catch (error) {
    if (error instanceof GraphQLError) return undefined
    throw error
  }
}

function spent(waitMs: number): GraphQLError {
  const seconds = Math.max(1, Math.ceil(waitMs / 1_000))
  return requestError('RATE_LIMITED', undefined, {
    retryAfterMs: seconds * 1_000,
    headers: { 'retry-after': String(seconds) },
  })
}
