import type { Arrival } from '../../data-plane/arrival.ts'
import { authenticate, checkKey } from '../../data-plane/authenticate.ts'
import { anthropicMessages } from '../../data-plane/codecs/anthropic-messages/index.ts'
import type { Dialect } from '../../data-plane/codecs/codec.ts'
import { geminiGenerate } from '../../data-plane/codecs/gemini-generate/index.ts'
import { openaiChat } from '../../data-plane/codecs/openai-chat/index.ts'
import { usableAliases } from '../../data-plane/plan.ts'
import type { Ports } from '../../data-plane/ports.ts'
import type { RunningAlias } from '../../data-plane/snapshot/running.ts'
import { isRefusal, type Refusal, refuse } from '../../schema/refusals.ts'
import { refusalAnswer } from './answers.ts'

type Caller = Pick<Arrival, 'key' | 'clientAddress'>

/** A vendor's way of telling its models. */
interface Shape {
  dialect: Dialect
  list: (aliases: RunningAlias[]) => object
  one: (alias: RunningAlias) => object
}

/** GET /v1/models and /v1beta/models: the names that this key may ask for, in the shape of the vendor whose client asks. */
export function listModels(request: Request, caller: Caller, ports: Ports): Response {
  const { dialect, list } = shapeFor(request)
  const aliases = aliasesFor(caller, ports)
  return isRefusal(aliases) ? refusalAnswer(dialect, aliases) : Response.json(list(aliases))
}

/** GET /v1/models/{name} and /v1beta/models/{name}. */
export function showModel(request: Request, caller: Caller, ports: Ports): Response {
  const { dialect, one } = shapeFor(request)
  const name = modelIn(request)
  const aliases = aliasesFor(caller, ports)
  if (isRefusal(aliases)) return refusalAnswer(dialect, aliases)
  const alias = aliases.find((each) => each.name === name)
  return alias ? Response.json(one(alias)) : refusalAnswer(dialect, refuse('unknown_alias', undefined, 'model'))
}

/** Whose errors a client reads where no door says it. */
export const dialectFor = (request: Request): Dialect => shapeFor(request).dialect

/** Several vendors have the path `/v1/models`; the clients of Google and of Anthropic are known by their headers there. */
function shapeFor({ url, headers }: Request): Shape {
  const isGoogle = headers.has('x-goog-api-key') || headers.has('x-goog-api-client')
  // A host header that is none makes a URL that is none.
  if (isGoogle || URL.parse(url)?.pathname.startsWith('/v1beta/')) return geminiShape
  return headers.has('anthropic-version') ? anthropicShape : openaiShape
}

/** The name in the path behind `…/models/`, slashes and all. */
function modelIn(request: Request): string | undefined {
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

const openaiModel = ({ name }: RunningAlias) => ({ id: name, object: 'model', created: 0, owned_by: 'sluice' })

const openaiShape: Shape = {
  dialect: openaiChat,
  list: (aliases) => ({ object: 'list', data: aliases.map(openaiModel) }),
  one: openaiModel,
}

/** The limits of the first model behind the name; 0 where nothing is declared. */
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

/** All of them are one page. */
const geminiShape: Shape = {
  dialect: geminiGenerate,
  list: (aliases) => ({ models: aliases.map(geminiModel) }),
  one: geminiModel,
}

/** The limits of the first model behind the name: it is the one that is asked first, or as likely as any. */
function anthropicModel({ name, route, deprecation }: RunningAlias) {
  const model = route.targets[0]?.model
  return {
    type: 'model',
    id: name,
    display_name: name,
    created_at: '1970-01-01T00:00:00Z',
    lifecycle: deprecation ? 'deprecated' : 'active',
    max_input_tokens: model?.contextTokens ?? null,
    max_tokens: model?.maxOutputTokens ?? null,
  }
}

/** One page: a client that asks for fewer gets all, which is no more than a page of theirs holds. */
const anthropicShape: Shape = {
  dialect: anthropicMessages,
  list: (aliases) => ({
    data: aliases.map(anthropicModel),
    has_more: false,
    first_id: aliases[0]?.name ?? null,
    last_id: aliases.at(-1)?.name ?? null,
  }),
  one: anthropicModel,
}
