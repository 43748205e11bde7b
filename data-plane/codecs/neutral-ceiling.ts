import type { RunningModel } from '../snapshot/running.ts'
import type { TokenCeiling } from './codec.ts'
import type { FilePart, ImagePart, NeutralRequest, Part, Tool } from './neutral.ts'

/**
 * Upper bounds of a translated request: a text counts its UTF-8 bytes as tokens, turns and tools a declared overhead, an image
 * the model's declared maximum. What cannot be bounded by what is seen makes it the model's whole context.
 */
export function neutralCeiling(request: NeutralRequest, model: RunningModel): TokenCeiling {
  const parts = [request.system, ...request.turns.map((turn) => turn.parts)]
  const input =
    sum(parts, (some) => model.bounds.tokensPerMessage + sum(some, (part) => partBound(part, model))) +
    sum(request.tools, (tool) => model.bounds.tokensPerTool + toolBytes(tool)) +
    (request.output.type === 'schema' ? bytes(JSON.stringify(request.output.schema)) : 0)
  const context = model.contextTokens
  // Without a declared context nothing bounds what is not seen; what is seen is then the best there is.
  const seen = Number.isFinite(input) ? input : visible(request)
  return {
    inputTokens: Number.isFinite(input) ? Math.min(input, context ?? input) : (context ?? seen),
    outputTokens: outputBound(request, model),
  }
}

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
