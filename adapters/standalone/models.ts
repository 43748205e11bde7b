import type { Arrival } from '../../data-plane/arrival.ts'
import { authenticate, checkKey } from '../../data-plane/authenticate.ts'
import { geminiGenerate } from '../../data-plane/codecs/gemini-generate/index.ts'
import { openaiChat } from '../../data-plane/codecs/openai-chat/index.ts'
import { usableAliases } from '../../data-plane/plan.ts'
import type { Ports } from '../../data-plane/ports.ts'
import type { RunningAlias } from '../../data-plane/snapshot/running.ts'
import { isRefusal, type Refusal, refuse } from '../../schema/refusals.ts'
import { refusalAnswer } from './answers.ts'

type Caller = Pick<Arrival, 'key' | 'clientAddress'>

/** GET /v1/models: the names that this key may ask for, in OpenAI's shape. */
export function listModels(caller: Caller, ports: Ports): Response {
  const aliases = aliasesFor(caller, ports)
  if (isRefusal(aliases)) return refusalAnswer(openaiChat, aliases)
  return Response.json({ object: 'list', data: aliases.map(modelObject) })
}

/** GET /v1/models/{name}. */
export function showModel(caller: Caller, name: string | undefined, ports: Ports): Response {
  const aliases = aliasesFor(caller, ports)
  if (isRefusal(aliases)) return refusalAnswer(openaiChat, aliases)
  const alias = aliases.find((each) => each.name === name)
  return alias
    ? Response.json(modelObject(alias))
    : refusalAnswer(openaiChat, refuse('unknown_alias', undefined, 'model'))
}

/** GET /v1beta/models, in Gemini's shape. All of them are one page. */
export function listGeminiModels(caller: Caller, ports: Ports): Response {
  const aliases = aliasesFor(caller, ports)
  if (isRefusal(aliases)) return refusalAnswer(geminiGenerate, aliases)
  return Response.json({ models: aliases.map(geminiModel) })
}

/** GET /v1beta/models/{name}. */
export function showGeminiModel(caller: Caller, name: string | undefined, ports: Ports): Response {
  const aliases = aliasesFor(caller, ports)
  if (isRefusal(aliases)) return refusalAnswer(geminiGenerate, aliases)
  const alias = aliases.find((each) => each.name === name)
  return alias
    ? Response.json(geminiModel(alias))
    : refusalAnswer(geminiGenerate, refuse('unknown_alias', undefined, 'model'))
}

/** The name in the path behind `…/models/`, slashes and all. */
export function modelIn(request: Request): string | undefined {
  try {
    const { pathname } = new URL(request.url)
    return decodeURIComponent(pathname.slice(pathname.indexOf('/models/') + '/models/'.length))
  } catch {
    return undefined
  }
}

function aliasesFor(caller: Caller, ports: Ports): RunningAlias[] | Refusal {
  const nowMs = ports.clock.now()
  const found = authenticate(caller, ports.snapshots.current())
  if (isRefusal(found)) return found
  return checkKey(found, caller, nowMs) ?? usableAliases(found, nowMs)
}

const modelObject = ({ name }: RunningAlias) => ({ id: name, object: 'model', created: 0, owned_by: 'sluice' })

/** What the route's first model is declared to take; 0 where nothing is declared. */
function geminiModel({ name, route }: RunningAlias): object {
  const model = route.targets[0]?.model
  return {
    name: `models/${name}`,
    baseModelId: name,
    version: '1',
    displayName: name,
    inputTokenLimit: model?.contextTokens ?? 0,
    outputTokenLimit: model?.maxOutputTokens ?? 0,
    supportedGenerationMethods: ['generateContent', 'streamGenerateContent', 'countTokens'],
  }
}
