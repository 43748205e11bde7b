import { calledTools } from '../called-tools.ts'
import type { Encoded, EncodeTarget } from '../codec.ts'
import type { Json } from '../json.ts'
import type { Feature, NeutralRequest } from '../neutral.ts'
import { type ClaudeTraits, claudeTraits } from './claude.ts'
import { thinksOn } from './own-messages.ts'
import { defaultVersion, outputMax } from './request.ts'
import { type Thinking, thinkingOf } from './thinking.ts'
import { marked, messagesOf, textBlocks } from './write-blocks.ts'

export type Lost = Set<Feature>

/**
 * Writes a neutral request as a Messages request, in the version that still has sampling parameters: clients of other protocols
 * send them, and nothing else that is written here differs between the versions.
 */
export function writeMessagesRequest(request: NeutralRequest, target: EncodeTarget): Encoded & { lost: Feature[] } {
  const lost: Lost = new Set()
  const claude = claudeTraits(target.upstreamName)
  const messages = messagesOf(request.turns, claude, lost)
  const limit = outputMax(request.maxOutputTokens, target.model)
  const mayThink = claude.adaptive || thinksOn(messages)
  const { thinking, effort } = thinkingOf(request, claude, limit, mayThink, lost)
  loseUnsaid(request, lost)
  const format = formatOf(request, claude, lost)
  const config = { ...(effort && { effort }), ...(format && { format }) }
  const body = {
    model: target.upstreamName,
    max_tokens: limit,
    ...(request.system.length > 0 && { system: textBlocks(request.system) }),
    messages,
    ...(request.streamed && { stream: true }),
    ...(request.stop.length > 0 && { stop_sequences: request.stop }),
    ...samplingOf(request, claude, thinking, lost),
    ...(thinking && { thinking }),
    ...(Object.keys(config).length > 0 && { output_config: config }),
    ...toolFields(request, claude, lost),
    ...(request.user !== null && { metadata: { user_id: request.user } }),
  }
  return {
    path: '/messages',
    headers: { 'anthropic-version': defaultVersion },
    body: JSON.stringify(body),
    lost: [...lost],
  }
}

function loseUnsaid({ sampling, choices, logprobs }: NeutralRequest, lost: Lost): void {
  if (sampling.seed !== null) lost.add('seed')
  if (sampling.presencePenalty) lost.add('presencePenalty')
  if (sampling.frequencyPenalty) lost.add('frequencyPenalty')
  if (choices > 1) lost.add('choices')
  if (logprobs) lost.add('logprobs')
}

/**
 * Temperatures reach to 1 here; thinking allows no other than 1, no `top_k`, and a `top_p` from 0.95. 1 is the default of both,
 * so it need not be said.
 */
export function samplingOf(
  { sampling }: NeutralRequest,
  claude: ClaudeTraits,
  thinking: Thinking | undefined,
  lost: Lost,
): Json {
  const { temperature, topP, topK } = sampling
  const thinks = thinking !== undefined && thinking.type !== 'disabled'
  const plain = claude.sampling && !thinks
  const fields: Json = {}
  if (temperature !== null && temperature !== 1) {
    if (plain && temperature <= 1) fields.temperature = temperature
    else lost.add('temperature')
  }
  if (topP !== null && topP !== 1) {
    // Models that take one of the two refuse both together.
    if (claude.sampling && (!thinks || topP >= 0.95) && fields.temperature === undefined) fields.top_p = topP
    else lost.add('topP')
  }
  if (topK !== null) {
    if (plain) fields.top_k = topK
    else lost.add('topK')
  }
  return fields
}

function formatOf({ output }: NeutralRequest, claude: ClaudeTraits, lost: Lost): Json | undefined {
  if (output.type === 'text') return undefined
  if (output.type === 'schema' && claude.schemas) return { type: 'json_schema', schema: output.schema }
  lost.add(output.type === 'schema' ? 'schema' : 'json')
  return undefined
}

function toolFields(request: NeutralRequest, claude: ClaudeTraits, lost: Lost): Json {
  const { parallelToolCalls } = request
  const declared = request.tools.length > 0 ? request.tools : calledTools(request.turns)
  if (declared.length === 0) return {}
  const toolChoice = request.tools.length > 0 ? request.toolChoice : 'none'
  const tools = declared.map(({ name, description, parameters, strict, ...rest }) => {
    if (strict && !claude.schemas) lost.add('strictTools')
    return marked(rest, {
      name,
      ...(description !== null && { description }),
      input_schema: { type: 'object', ...(parameters ?? { properties: {} }) },
      ...(strict && claude.schemas && { strict: true }),
    })
  })
  const isForced = toolChoice === 'required' || typeof toolChoice === 'object'
  if (isForced && !claude.forcedTools) lost.add('toolChoice')
  const choice = isForced && !claude.forcedTools ? 'auto' : toolChoice
  const alone = parallelToolCalls === false && choice !== 'none' ? { disable_parallel_tool_use: true } : undefined
  if (choice === 'auto' && !alone) return { tools }
  return { tools, tool_choice: { ...toolChoiceOf(choice), ...alone } }
}

function toolChoiceOf(choice: NeutralRequest['toolChoice']): Json {
  if (typeof choice === 'object') return { type: 'tool', name: choice.name }
  return { type: choice === 'required' ? 'any' : choice }
}
