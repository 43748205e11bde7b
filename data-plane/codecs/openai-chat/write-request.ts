import type { Encoded, EncodeTarget } from '../codec.ts'
import { effortOf } from '../effort.ts'
import type { Json } from '../json.ts'
import type { Feature, FilePart, NeutralRequest, Part, Source, ToolCall, ToolResult, Turn } from '../neutral.ts'
import { outputLimit } from '../neutral-ceiling.ts'
import { openaiPath } from '../openai-path.ts'

type Lost = Set<Feature>

/** Writes a neutral request as a chat completion request. */
export function writeChatRequest(request: NeutralRequest, target: EncodeTarget): Encoded & { lost: Feature[] } {
  const lost: Lost = new Set()
  const own = isOwn(target)
  const { sampling } = request
  if (sampling.topK !== null && own) lost.add('topK')
  if (request.reasoning.shown && own) lost.add('reasoningShown')
  const body = {
    model: target.upstreamName,
    messages: [...systemMessage(request, lost), ...request.turns.flatMap((turn) => messagesOf(turn, own, lost))],
    ...(request.streamed && { stream: true, stream_options: { include_usage: true } }),
    ...limits(request, target, own),
    ...given({
      temperature: sampling.temperature,
      top_p: sampling.topP,
      top_k: own ? null : sampling.topK,
      seed: sampling.seed,
      presence_penalty: sampling.presencePenalty,
      frequency_penalty: sampling.frequencyPenalty,
      user: request.user,
    }),
    ...(request.stop.length > 0 && { stop: request.stop }),
    ...(request.choices > 1 && { n: request.choices }),
    ...(request.logprobs && { logprobs: true, top_logprobs: request.logprobs.top }),
    ...toolFields(request, lost),
    ...formatField(request),
    ...effortField(request),
  }
  return { path: openaiPath(target, '/chat/completions'), body: JSON.stringify(body), lost: [...lost] }
}

/** OpenAI and Azure take exactly what is documented; other servers of the protocol take common additions. */
function isOwn({ model }: EncodeTarget): boolean {
  const { platform } = model.provider
  return platform === 'OPENAI' || platform === 'AZURE_OPENAI'
}

function given(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))
}

function limits(request: NeutralRequest, { model }: EncodeTarget, own: boolean): Json {
  const limit = outputLimit(request, model)
  return limit === null ? {} : { [own ? 'max_completion_tokens' : 'max_tokens']: limit }
}

function systemMessage({ system }: NeutralRequest, lost: Lost): Json[] {
  for (const part of system) if (part.cache) lost.add('caching')
  return system.length > 0 ? [{ role: 'system', content: textOrParts(system.map(({ text }) => text)) }] : []
}

const textOrParts = (texts: string[]) => (texts.length === 1 ? texts[0] : texts.map((text) => ({ type: 'text', text })))

function messagesOf(turn: Turn, own: boolean, lost: Lost): Json[] {
  for (const part of turn.parts) if ('cache' in part && part.cache) lost.add('caching')
  if (turn.role === 'assistant') return [assistantMessage(turn, own, lost)]
  if (turn.role === 'system') return [{ role: 'system', content: textOrParts(turn.parts.map(textOf)) }]
  const results = turn.parts.filter((part) => part.type === 'toolResult')
  // A tool's message holds text alone: what else it brought follows as the user's.
  const brought = results.flatMap(({ parts }) => parts.filter(({ type }) => type !== 'text'))
  const rest = [...brought, ...turn.parts.filter((part) => part.type !== 'toolResult')]
  const user = rest.length > 0 || results.length === 0 ? [{ role: 'user', content: contentOf(rest, lost) }] : []
  return [...results.map((result) => toolMessage(result, lost)), ...user]
}

const textOf = (part: Part) => ('text' in part ? part.text : '')

function toolMessage({ id, parts, isError }: ToolResult, lost: Lost): Json {
  if (isError) lost.add('toolErrors')
  return { role: 'tool', tool_call_id: id, content: parts.map(textOf).join('') }
}

function assistantMessage({ parts }: Turn, own: boolean, lost: Lost): Json {
  const texts = parts.filter((part) => part.type === 'text').map(({ text }) => text)
  const refusal = parts.find((part) => part.type === 'refusal')
  const thoughts = parts.filter((part) => part.type === 'thought')
  const calls = parts.filter((part) => part.type === 'toolCall')
  if (thoughts.length > 0 && (own || thoughts.some(({ signature }) => signature))) lost.add('signatures')
  const reasoning = own ? '' : thoughts.map(({ text }) => text).join('')
  return {
    role: 'assistant',
    content: texts.length > 0 ? textOrParts(texts) : null,
    ...(refusal && { refusal: refusal.text }),
    ...(reasoning && { reasoning_content: reasoning }),
    ...(calls.length > 0 && { tool_calls: calls.map(callOf) }),
  }
}

function callOf({ id, name, arguments: text, signature }: ToolCall): Json {
  // As Google's own endpoint of this protocol has it.
  const signed = signature?.from === 'GEMINI_GENERATE' && {
    extra_content: { google: { thought_signature: signature.value } },
  }
  return { id, type: 'function', function: { name, arguments: text }, ...signed }
}

function contentOf(parts: Part[], lost: Lost): unknown {
  if (parts.every((part) => part.type === 'text')) return parts.length === 0 ? '' : textOrParts(parts.map(textOf))
  return parts.flatMap((part) => partOf(part, lost) ?? [])
}

function partOf(part: Part, lost: Lost): Json | undefined {
  if (part.type === 'text') return { type: 'text', text: part.text }
  if (part.type === 'image')
    return { type: 'image_url', image_url: { url: urlOf(part.source), ...(part.detail && { detail: part.detail }) } }
  if (part.type === 'audio') return { type: 'input_audio', input_audio: { data: part.data, format: part.format } }
  if (part.type === 'file') return fileOf(part, lost)
  return undefined
}

function fileOf({ source, name }: FilePart, lost: Lost): Json | undefined {
  if (source.kind === 'url') {
    lost.add('fileUrls')
    return undefined
  }
  if (source.mediaType.startsWith('text/'))
    return { type: 'text', text: Buffer.from(source.data, 'base64').toString('utf8') }
  return { type: 'file', file: { filename: name ?? 'document.pdf', file_data: urlOf(source) } }
}

/** An address, or the bytes as a `data:` URL. */
export function urlOf(source: Source): string {
  return source.kind === 'url' ? source.url : `data:${source.mediaType};base64,${source.data}`
}

function toolFields({ tools, toolChoice, parallelToolCalls }: NeutralRequest, lost: Lost): Json {
  if (tools.length === 0) return {}
  if (tools.some(({ cache }) => cache)) lost.add('caching')
  return {
    tools: tools.map(({ name, description, parameters, strict }) => ({
      type: 'function',
      function: { name, ...given({ description, parameters, strict }) },
    })),
    ...(toolChoice !== 'auto' && {
      tool_choice: typeof toolChoice === 'string' ? toolChoice : { type: 'function', function: toolChoice },
    }),
    ...(parallelToolCalls !== null && { parallel_tool_calls: parallelToolCalls }),
  }
}

function formatField({ output }: NeutralRequest): Json {
  if (output.type === 'text') return {}
  if (output.type === 'json') return { response_format: { type: 'json_object' } }
  const { type: _, name, schema, ...rest } = output
  return { response_format: { type: 'json_schema', json_schema: { name, schema, ...given(rest) } } }
}

function effortField({ reasoning: { effort, budgetTokens } }: NeutralRequest): Json {
  const asked = effort ?? (budgetTokens === null ? null : effortOf(budgetTokens))
  return asked === null || asked === 'none' ? {} : { reasoning_effort: asked }
}
