import { type ExecutionResult, execute, GraphQLError, parse, subscribe, validate } from 'graphql'
import { type Actor, authenticate } from '../../control-plane/domain/actor.ts'
import type { Context } from '../../control-plane/domain/context.ts'
import { charge } from '../../control-plane/graphql/charge.ts'
import type { GraphContext } from '../../control-plane/graphql/context.ts'
import { finishError } from '../../control-plane/graphql/errors.ts'
import { Quota } from '../../control-plane/graphql/quota.ts'
import { schema } from '../../control-plane/graphql/schema.ts'
import type { Answer, Asker } from './matrix.ts'

/** Asks the schema itself, without a host. A fault is thrown, not masked. */
export function directly(ctx: Context): Asker {
  const actors = new Map<string, Promise<Actor | undefined>>()
  const quota = new Quota(ctx.clock, 2 ** 31 - 1)
  const actorOf = (token: string) => {
    const known = actors.get(token) ?? authenticate(ctx, token)
    actors.set(token, known)
    return known
  }
  const args = async (token: string, document: string, variables: object) => {
    const recheck = () => authenticate(ctx, token)
    const contextValue: GraphContext = { domain: ctx, actor: (await actorOf(token))!, requestId: 'test', recheck }
    const parsed = parse(document)
    const [wrong] = validate(schema, parsed)
    if (wrong) throw wrong
    charge(contextValue, quota, { document: parsed, variables: variables as Record<string, unknown> })
    return { schema, document: parsed, variableValues: variables as Record<string, unknown>, contextValue }
  }
  return {
    async ask(token, document, variables) {
      return answerOf((await execute(await args(token, document, variables))) as ExecutionResult)
    },
    async follow(token, document, variables, hear, until) {
      const result = await subscribe(await args(token, document, variables))
      if (!(Symbol.asyncIterator in result)) return hear(answerOf(result))
      void until.then(() => result.return(undefined))
      for await (const one of result) hear(answerOf(one))
    },
  }
}

function answerOf({ data, errors }: ExecutionResult): Answer {
  const finished = errors?.map((error) => {
    const { message, extensions } = finishError(error, 'test', rethrow)
    return { message, code: String(extensions.code) }
  })
  return { data, ...(finished && { errors: finished }) }
}

function rethrow(error: unknown): never {
  throw error instanceof GraphQLError ? (error.originalError ?? error) : error
}
