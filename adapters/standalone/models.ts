import { authenticate, checkKey } from '../../data-plane/authenticate.ts'
import { openaiChat } from '../../data-plane/codecs/openai-chat/index.ts'
import { usableAliases } from '../../data-plane/plan.ts'
import type { Ports } from '../../data-plane/ports.ts'
import type { RunningAlias } from '../../data-plane/snapshot/running.ts'
import { isRefusal, type Refusal, refuse } from '../../schema/refusals.ts'
import { refusalAnswer } from './answers.ts'
import { keyOf } from './key.ts'

/** GET /v1/models: the names that this key may ask for, in OpenAI's shape. */
export function listModels(request: Request, ports: Ports): Response {
  const aliases = aliasesFor(request, ports)
  if (isRefusal(aliases)) return refusalAnswer(openaiChat, aliases)
  return Response.json({ object: 'list', data: aliases.map(modelObject) })
}

/** GET /v1/models/{name}. */
export function showModel(request: Request, ports: Ports): Response {
  const aliases = aliasesFor(request, ports)
  if (isRefusal(aliases)) return refusalAnswer(openaiChat, aliases)
  const name = nameOf(new URL(request.url).pathname.slice('/v1/models/'.length))
  const alias = aliases.find((each) => each.name === name)
  return alias
    ? Response.json(modelObject(alias))
    : refusalAnswer(openaiChat, refuse('unknown_alias', undefined, 'model'))
}

function aliasesFor(request: Request, ports: Ports): RunningAlias[] | Refusal {
  const nowMs = ports.clock.now()
  const caller = { key: keyOf(request.headers), clientAddress: null }
  const found = authenticate(caller, ports.snapshots.current())
  if (isRefusal(found)) return found
  return checkKey(found, caller, nowMs) ?? usableAliases(found, nowMs)
}

function nameOf(path: string): string | undefined {
  try {
    return decodeURIComponent(path)
  } catch {
    return undefined
  }
}

const modelObject = ({ name }: RunningAlias) => ({ id: name, object: 'model', created: 0, owned_by: 'sluice' })
