import type { RunningModel } from '../../snapshot/running.ts'
import { askedTier, firstUnbounded, inputCeiling, unseenIn } from '../ceiling-parts.ts'
import type { TokenCeiling, Unbounded } from '../codec.ts'
import { type Json, textOf } from '../json.ts'
import { camel } from './names.ts'
import type { GeminiRequest } from './request.ts'

/**
 * Upper bounds of a request that passes: visible text counts its UTF-8 bytes as tokens, each content and declared function an
 * overhead, each image the model's declared maximum. What cannot be seen makes it the model's whole context. Counting is free.
 *
 * | field (Gemini API reference, models.generateContent) | bound |
 * |---|---|
 * | `maxOutputTokens` | bounds the answer, what is thought included |
 * | `candidateCount` | multiplies it |
 * | `thinkingConfig` | within `maxOutputTokens` |
 * | texts, function calls and results, functions, the configuration | bytes |
 * | images | `tokensPerImage`, else the context |
 * | `cachedContent`, `fileData`, other media | the context |
 * | `serviceTier` | its lines of the price sheet (`flex`, `priority`); unsaid it is the standard one |
 * | `responseModalities` with audio | needs a price for audio output; the model's most, since no limit is known to hold for it |
 * | `responseModalities` with pictures or of a kind not known, `responseFormat` | unbounded: their price is not that of text |
 * | Google's own tools | unbounded: they are charged by what they do |
 * | `routingConfig`, `modelSelectionConfig`, `automaticContinuation` | unbounded: another model, or more than one answer |
 */
export function geminiCeiling(
  { operation, body, config, candidates }: GeminiRequest,
  model: RunningModel,
): TokenCeiling {
  if (operation === 'count') return { inputTokens: 0, outputTokens: 0 }
  const configured = config?.body ?? {}
  const seen = inputBound(body, configured, model)
  const context = model.contextTokens
  const modalities = modalitiesOf(configured)
  return {
    inputTokens: inputCeiling(seen, context, () => bytes(body)),
    outputTokens: outputBound(configured, candidates, model),
    answers: candidates,
    unbounded:
      firstUnbounded(configured, unbounded) ??
      firstUnbounded(body, unbounded) ??
      oddModality(modalities) ??
      googleTool(body) ??
      unseenIn(seen, context, 'contents'),
    serviceTier: tierOf(body),
    audioOutput: modalities.includes('AUDIO') ? 'generationConfig.responseModalities' : undefined,
  }
}

const another = 'lets the provider choose another model'
const unbounded = {
  routingConfig: another,
  modelSelectionConfig: another,
  automaticContinuation: 'has more than one answer made',
  responseFormat: 'may ask for what has no price in tokens of text',
}

const modalitiesOf = ({ responseModalities: asked }: Json): string[] =>
  Array.isArray(asked) ? asked.map((one) => textOf(one).toUpperCase()) : asked == null ? [] : ['']

function oddModality(modalities: readonly string[]): Unbounded | undefined {
  if (modalities.every((one) => one === 'TEXT' || one === 'AUDIO')) return undefined
  return { field: 'generationConfig.responseModalities', why: 'asks for what has no price in tokens of text' }
}

function googleTool({ tools }: Json): Unbounded | undefined {
  const isOwn = (tool: unknown) =>
    Object.entries(camel(tool)).every(([key, of]) => key === 'functionDeclarations' || of == null)
  return !tools || tools.every(isOwn) ? undefined : { field: 'tools', why: 'holds a tool that the provider runs' }
}

const standardTiers: ReadonlySet<string> = new Set(['', 'standard', 'unspecified'])

function tierOf({ serviceTier }: Json): TokenCeiling['serviceTier'] {
  const name = textOf(serviceTier)
    .toLowerCase()
    .replace(/^service_tier_/, '')
  return standardTiers.has(name) ? undefined : askedTier('serviceTier', name)
}

function outputBound(config: Json, candidates: number, model: RunningModel): number | null {
  const most = model.maxOutputTokens ?? model.contextTokens
  const textOnly = modalitiesOf(config).every((one) => one === 'TEXT')
  const wanted = textOnly ? (config.maxOutputTokens ?? model.defaultOutputTokens ?? most) : most
  return wanted === null ? null : Math.min(wanted, most ?? wanted) * candidates
}

const unseen = Number.POSITIVE_INFINITY

function inputBound(body: Json, config: Json, model: RunningModel): number {
  if (body.cachedContent != null) return unseen
  const system = body.systemInstruction == null ? 0 : contentBound(body.systemInstruction, model)
  const contents = sum(body.contents ?? [], (content) => contentBound(content, model))
  const tools = sum(body.tools ?? [], (tool) => toolBound(tool, model))
  const others = { ...config, ...body.toolConfig }
  return system + contents + tools + (Object.keys(others).length > 0 ? bytes(others) : 0)
}

function contentBound(content: unknown, model: RunningModel): number {
  const { parts } = camel(content)
  const bound = parts == null ? bytes(content) : sum(listed(parts), (part) => partBound(part, model))
  return model.bounds.tokensPerMessage + bound
}

/** Parts by the member that says what they are (Gemini API reference, Part). */
function partBound(given: unknown, model: RunningModel): number {
  const part = camel(given)
  if (part.inlineData != null) return mediaBound(part.inlineData, model)
  if (part.fileData != null) return unseen
  const brought = camel(part.functionResponse).parts
  if (brought != null) {
    const { parts: _, ...response } = camel(part.functionResponse)
    return bytes(response) + sum(listed(brought), (inner) => partBound(inner, model))
  }
  const { text, thought: _, ...others } = part
  if (typeof text !== 'string') return bytes(part)
  // A signature of a thought is read, too.
  return Buffer.byteLength(text) + (Object.keys(others).length > 0 ? bytes(others) : 0)
}

function mediaBound(media: unknown, model: RunningModel): number {
  const { mimeType, data } = camel(media)
  const type = textOf(mimeType)
  if (type.startsWith('image/')) return model.bounds.tokensPerImage ?? unseen
  return type.startsWith('text/') && typeof data === 'string' ? data.length : unseen
}

function toolBound(given: unknown, model: RunningModel): number {
  const tool = camel(given)
  const functions = tool.functionDeclarations
  const others = Object.keys(tool).some((key) => key !== 'functionDeclarations' && tool[key] != null)
  if (others || (functions != null && !Array.isArray(functions))) return unseen
  return sum(functions ?? [], (one) => model.bounds.tokensPerTool + bytes(one))
}

/** Google takes one element for a list of it. */
const listed = (value: unknown): unknown[] => [value].flat()
const sum = (list: unknown[], of: (one: unknown) => number) => list.reduce<number>((total, one) => total + of(one), 0)
const bytes = (value: unknown) => Buffer.byteLength(JSON.stringify(value) ?? '')
