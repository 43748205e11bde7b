import type { Codec } from '../../schema/config/index.ts'
import type { RunningModel } from '../snapshot/running.ts'
import { instructionTokens } from './anthropic-messages/ceilings.ts'
import { calledTools } from './called-tools.ts'
import { anyTier, inputCeiling, unhurried, unseenIn } from './ceiling-parts.ts'
import type { TokenCeiling } from './codec.ts'
import type { FilePart, ImagePart, NeutralRequest, Part, Tool } from './neutral.ts'

/**
 * Upper bounds of a translated request: a text counts its UTF-8 bytes as tokens, turns and tools a declared overhead, an image
 * the model's declared maximum. What cannot be bounded by what is seen makes it the model's whole context. What costs otherwise
 * (a provider's own tools, tiers, other media in answers) has no neutral form, and so is asked of nobody; the tier is the
 * provider's choice where its protocol leaves it one. `messages` is what the client's dialect calls the conversation.
 */
export function neutralCeiling(
  request: NeutralRequest,
  model: RunningModel,
  protocol: Codec,
  messages: string,
): TokenCeiling {
  const parts = [request.system, ...request.turns.map((turn) => turn.parts)]
  const tools = request.tools.length > 0 ? request.tools : calledTools(request.turns)
  const seen =
    sum(parts, (some) => model.bounds.tokensPerMessage + sum(some, (part) => partBound(part, model))) +
    sum(tools, (tool) => model.bounds.tokensPerTool + toolBytes(tool)) +
    (request.output.type === 'schema' ? bytes(JSON.stringify(request.output)) : 0) +
    (instructs.has(protocol) && (tools.length > 0 || request.output.type !== 'text') ? instructionTokens : 0)
  const context = model.contextTokens
  return {
    inputTokens: inputCeiling(seen, context, () => visible(request)),
    outputTokens: outputBound(request, model),
    answers: request.choices,
    unbounded: unseenIn(seen, context, messages),
    serviceTier: choosers[protocol],
  }
}

/** Whose providers choose a tier where none is asked for. */
const choosers: Partial<Record<Codec, TokenCeiling['serviceTier']>> = {
  OPENAI_CHAT: anyTier,
  OPENAI_RESPONSES: anyTier,
  ANTHROPIC_MESSAGES: unhurried,
}

/** Claude is told of tools and schemas in words of the API's own. */
const instructs: ReadonlySet<Codec> = new Set(['ANTHROPIC_MESSAGES', 'BEDROCK_CONVERSE'])

/** The output limit that is sent upstream for this model; null where nothing limits it. */
export function outputLimit(request: NeutralRequest, model: RunningModel): number | null {
  const wanted = request.maxOutputTokens ?? model.defaultOutputTokens
  if (wanted === null) return null
  return Math.min(wanted, model.maxOutputTokens ?? wanted)
}

function outputBound(request: NeutralRequest, model: RunningModel): number | null {
  const most = outputLimit(request, model) ?? model.maxOutputTokens ?? model.contextTokens
  return most === null ? null : most * request.choices
}

function partBound(part: Part, model: RunningModel): number {
  switch (part.type) {
    case 'text':
    case 'refusal':
      return bytes(part.text)
    case 'thought':
      return bytes(part.text) + bytes(part.signature?.value ?? '')
    case 'toolCall':
      return bytes(part.name) + bytes(part.arguments)
    case 'toolResult':
      return sum(part.parts, (inner) => partBound(inner, model))
    case 'image':
      return imageBound(part, model)
    case 'file':
      return fileBound(part)
    case 'audio':
      return Number.POSITIVE_INFINITY
  }
}

const imageBound = (_part: ImagePart, model: RunningModel) => model.bounds.tokensPerImage ?? Number.POSITIVE_INFINITY

/** Pages of a document are not counted here; a plain text is its bytes. */
function fileBound({ source }: FilePart): number {
  const isText = source.kind === 'data' && source.mediaType.startsWith('text/')
  return isText ? source.data.length : Number.POSITIVE_INFINITY
}

function toolBytes({ name, description, parameters }: Tool): number {
  return bytes(name) + bytes(description ?? '') + (parameters ? bytes(JSON.stringify(parameters)) : 0)
}

function visible(request: NeutralRequest): number {
  return bytes(JSON.stringify(request.system)) + bytes(JSON.stringify(request.turns))
}

function sum<T>(list: readonly T[], of: (one: T) => number): number {
  return list.reduce((total, one) => total + of(one), 0)
}

const bytes = (text: string) => Buffer.byteLength(text)
