import { isAsyncIterable } from '@envelop/core'
import {
  createSourceEventStream,
  type DocumentNode,
  type ExecutionArgs,
  type ExecutionResult,
  execute,
  getOperationAST,
  Kind,
  print,
  type SelectionSetNode,
  visit,
} from 'graphql'
import type { Plugin } from 'graphql-yoga'
import type { GraphContext } from '../graphql/context.ts'
import { maySeeServing } from '../graphql/visible.ts'
import { mapEach } from './map-each.ts'

/** Results of one event by what was asked of it, for as long as somebody holds the event. */
const results = new WeakMap<object, Map<string, Promise<ExecutionResult> | ExecutionResult>>()

/**
 * Runs an event through the same document once, however many subscribers are sent it: live spend on five hundred screens is one
 * execution a tick. Only for documents whose answer depends on the event and on what their actors may see, not on who they are.
 */
export function sharedResults(): Plugin {
  return {
    onSubscribe({ setSubscribeFn }) {
      setSubscribeFn(subscribeShared as never)
    },
  }
}

async function subscribeShared(args: ExecutionArgs) {
  const source = await createSourceEventStream(args)
  if (!isAsyncIterable(source)) return source
  const key = sharingKey(args)
  const run = (event: unknown) => execute({ ...args, rootValue: event })
  return mapEach(source, (event) => (key ? shared(event as object, key, run) : run(event)))
}

function shared(event: object, key: string, run: (event: unknown) => Promise<ExecutionResult> | ExecutionResult) {
  const known = results.get(event) ?? new Map<string, Promise<ExecutionResult> | ExecutionResult>()
  results.set(event, known)
  const result = known.get(key) ?? run(event)
  known.set(key, result)
  return result
}

/** Fields below `spendTicks` that say the same to everyone who may see the event; below `resource`, to all who see as much. */
const plainFields = new Set(
  (
    'spendTicks cursor at groups key dimension label value points cost amount currency requests refused failed tokens ' +
    'inputTokens cachedInputTokens outputTokens total resource id name handle __typename'
  ).split(' '),
)

/** Undefined = each subscriber's own. */
export function sharingKey({
  document,
  operationName,
  variableValues,
  contextValue,
}: ExecutionArgs): string | undefined {
  const operation = getOperationAST(document, operationName)
  const [root] = operation?.selectionSet.selections ?? []
  if (root?.kind !== Kind.FIELD || !isPlain(document)) return undefined
  const { actor } = contextValue as GraphContext
  // Two keys of one principal may see different things.
  const sees = actor.permissions.has('config:read') ? 'all' : [actor.principal, maySeeServing(actor)]
  // What the event's field was asked with made the event; what stands below it is part of the answer.
  const used = [...variablesIn(document, root.selectionSet)].map((name) => [name, variableValues?.[name]])
  return JSON.stringify([print(document), operationName ?? null, sees, used])
}

function isPlain(document: DocumentNode): boolean {
  let plain = true
  visit(document, {
    Field: ({ name }) => {
      plain &&= plainFields.has(name.value)
    },
    Directive: () => {
      plain = false
    },
  })
  return plain
}

function variablesIn(document: DocumentNode, below: SelectionSetNode | undefined): Set<string> {
  const names = new Set<string>()
  const note = { Variable: ({ name }: { name: { value: string } }) => void names.add(name.value) }
  if (below) visit(below, note)
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) visit(definition, note)
  return names
}
