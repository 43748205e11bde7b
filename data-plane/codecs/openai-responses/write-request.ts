import type { Encoded, EncodeTarget } from '../codec.ts'
import { effortOf } from '../effort.ts'
import type { Json } from '../json.ts'
import type {
  Feature,
  FilePart,
  ImagePart,
  NeutralRequest,
  Part,
  TextPart,
  Thought,
  ToolResult,
  Turn,
} from '../neutral.ts'
import { outputLimit } from '../neutral-ceiling.ts'
import { urlOf } from '../openai-chat/write-request.ts'
import { responsesPath } from './request.ts'

type Lost = Set<Feature>

/** Writes a neutral request as one for a response that is not stored. */
export function writeResponsesRequest(request: NeutralRequest, target: EncodeTarget): Encoded & { lost: Feature[] } {
  const lost: Lost = new Set(lostSampling(request))
  const limit = outputLimit(request, target.model)
  const include = [
    ...(request.logprobs ? ['message.output_text.logprobs'] : []),
    ...(wantsReasoning(request) ? ['reasoning.encrypted_content'] : []),
  ]
  const { temperature, topP } = request.sampling
  const body = {
    model: target.upstreamName,
    input: request.turns.flatMap((turn) => itemsOf(turn, lost)),
    store: false,
    ...(request.streamed && { stream: true }),
    ...(request.system.length > 0 && { instructions: instructionsOf(request.system, lost) }),
    ...(limit !== null && { max_output_tokens: limit }),
    ...(temperature !== null && { temperature }),
    ...(topP !== null && { top_p: topP }),
    ...(request.logprobs && { top_logprobs: request.logprobs.top }),
    ...(include.length > 0 && { include }),
    ...(request.user !== null && { user: request.user }),
    ...toolFields(request, lost),
    ...formatField(request),
    ...reasoningField(request),
  }
  return { path: responsesPath(target), body: JSON.stringify(body), lost: [...lost] }
}

function lostSampling({ sampling, stop, choices }: NeutralRequest): Feature[] {
  const lost: Feature[] = []
  for (const name of ['topK', 'seed', 'presencePenalty', 'frequencyPenalty'] as const)
    if (sampling[name] !== null) lost.push(name)
  if (stop.length > 0) lost.push('stop')
  if (choices > 1) lost.push('choices')
  return lost
}

/** Only reasoning models take the request for encrypted reasoning. */
function wantsReasoning({ reasoning: { effort, budgetTokens }, turns }: NeutralRequest): boolean {
  const asked = (effort !== null && effort !== 'none') || (budgetTokens ?? 0) > 0
  return asked || turns.some(({ parts }) => parts.some((part) => part.type === 'thought' && isOwn(part)))
}

const isOwn = ({ signature }: Thought) => signature?.from === 'OPENAI_RESPONSES'

function instructionsOf(system: TextPart[], lost: Lost): string {
  if (system.some(({ cache }) => cache)) lost.add('caching')
  return system.map(({ text }) => text).join('\n\n')
}

/** A turn is a row of items: runs of text, pictures and files are one message, everything else stands alone. */
function itemsOf({ role, parts }: Turn, lost: Lost): Json[] {
  const items: Json[] = []
  let message: Json | undefined
  for (const part of parts) {
    if ('cache' in part && part.cache) lost.add('caching')
    const item = itemOf(part, lost)
    if (item === 'part') {
      const content = contentOf(part, role === 'assistant', lost)
      if (!content) continue
      if (message) message.content.push(content)
      else {
        message = { type: 'message', role, content: [content] }
        items.push(message)
      }
    } else {
      message = undefined
      if (item) items.push(item)
    }
  }
  return items
}

/** An item of its own; `part` where it belongs into a message. */
function itemOf(part: Part, lost: Lost): Json | undefined | 'part' {
  if (part.type === 'toolCall')
    return { type: 'function_call', call_id: part.id, name: part.name, arguments: part.arguments }
  if (part.type === 'toolResult') return resultOf(part, lost)
  if (part.type === 'thought') return thoughtOf(part, lost)
  return 'part'
}

function resultOf({ id, parts, isError }: ToolResult, lost: Lost): Json {
  if (isError) lost.add('toolErrors')
  const texts = parts.every(({ type }) => type === 'text')
  const output = texts
    ? parts.map((part) => (part as TextPart).text).join('')
    : parts.flatMap((part) => contentOf(part, false, lost) ?? [])
  return { type: 'function_call_output', call_id: id, output }
}

function thoughtOf(part: Thought, lost: Lost): Json | undefined {
  if (!isOwn(part)) {
    lost.add('signatures')
    return undefined
  }
  const [id, sealed] = part.signature!.value.split(' ', 2)
  const summary = part.text ? [{ type: 'summary_text', text: part.text }] : []
  return { type: 'reasoning', ...(id && { id }), summary, encrypted_content: sealed }
}

function contentOf(part: Part, said: boolean, lost: Lost): Json | undefined {
  if (part.type === 'text')
    return said ? { type: 'output_text', text: part.text, annotations: [] } : { type: 'input_text', text: part.text }
  if (part.type === 'refusal') return { type: 'refusal', refusal: part.text }
  if (part.type === 'image') return imageOf(part)
  if (part.type === 'file') return fileOf(part)
  if (part.type === 'audio') lost.add('audio')
  return undefined
}

function imageOf({ source, detail }: ImagePart): Json {
  return { type: 'input_image', image_url: urlOf(source), detail: detail ?? 'auto' }
}

function fileOf({ source, name }: FilePart): Json {
  if (source.kind === 'url') return { type: 'input_file', file_url: source.url }
  if (source.mediaType.startsWith('text/'))
    return { type: 'input_text', text: Buffer.from(source.data, 'base64').toString('utf8') }
  return { type: 'input_file', filename: name ?? 'document.pdf', file_data: urlOf(source) }
}

/** Unsaid, `strict` would be true here and false elsewhere. */
function toolFields({ tools, toolChoice, parallelToolCalls }: NeutralRequest, lost: Lost): Json {
  if (tools.length === 0) return {}
  if (tools.some(({ cache }) => cache)) lost.add('caching')
  return {
    tools: tools.map(({ name, description, parameters, strict }) => ({
      ...{ type: 'function', name, parameters: parameters ?? { type: 'object', properties: {} } },
      ...(description !== null && { description }),
      strict: strict ?? false,
    })),
    ...(toolChoice !== 'auto' && {
      tool_choice: typeof toolChoice === 'string' ? toolChoice : { type: 'function', name: toolChoice.name },
    }),
    ...(parallelToolCalls !== null && { parallel_tool_calls: parallelToolCalls }),
  }
}

function formatField({ output }: NeutralRequest): Json {
  if (output.type === 'text') return {}
  if (output.type === 'json') return { text: { format: { type: 'json_object' } } }
  const { name, schema, description, strict } = output
  return {
    text: {
      format: {
        ...{ type: 'json_schema', name, schema, strict: strict ?? false },
        ...(description !== null && { description }),
      },
    },
  }
}

function reasoningField({ reasoning: { effort, budgetTokens, shown } }: NeutralRequest): Json {
  const asked = effort ?? (budgetTokens === null ? null : effortOf(budgetTokens))
  const fields = { ...(asked !== null && asked !== 'none' && { effort: asked }), ...(shown && { summary: 'auto' }) }
  return Object.keys(fields).length > 0 ? { reasoning: fields } : {}
}
