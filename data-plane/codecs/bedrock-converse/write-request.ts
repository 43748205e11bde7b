import { type ClaudeTraits, claudeTraits } from '../anthropic-messages/claude.ts'
import { thinkingOf } from '../anthropic-messages/thinking.ts'
import { samplingOf } from '../anthropic-messages/write-request.ts'
import { calledTools } from '../called-tools.ts'
import type { Encoded, EncodeTarget } from '../codec.ts'
import type { Json } from '../json.ts'
import type { Feature, NeutralRequest, Tool } from '../neutral.ts'
import { outputLimit } from '../neutral-ceiling.ts'
import { cachePoint, messagesOf, systemOf } from './write-blocks.ts'

type Lost = Set<Feature>

/** Writes a neutral request as one of Converse or ConverseStream (Amazon Bedrock API reference). */
export function writeConverseRequest(request: NeutralRequest, target: EncodeTarget): Encoded & { lost: Feature[] } {
  const lost: Lost = new Set()
  const claude = claudeBehind(target)
  const messages = messagesOf(request.turns, claude !== undefined, lost)
  const limit = limitOf(request, target, claude)
  const tools = toolConfig(request, claude, lost)
  loseUnsaid(request, lost)
  const { effort, ...fields } = reasoningOf(request, messages, claude, limit, lost)
  const { config, more } = inferenceOf(request, target, claude, fields.thinking, lost)
  const additional = { ...fields, ...more }
  const output = outputConfig(request, effort, lost)
  const inference = { ...(limit !== null && { maxTokens: limit }), ...config }
  const body = {
    ...(request.system.length > 0 && { system: systemOf(request.system) }),
    messages,
    ...(Object.keys(inference).length > 0 && { inferenceConfig: inference }),
    ...(tools && { toolConfig: tools }),
    ...(output && { outputConfig: output }),
    ...(Object.keys(additional).length > 0 && { additionalModelRequestFields: additional }),
  }
  const call = request.streamed ? 'converse-stream' : 'converse'
  return {
    path: `/model/${encodeURIComponent(target.upstreamName)}/${call}`,
    headers: { accept: request.streamed ? 'application/vnd.amazon.eventstream' : 'application/json' },
    body: JSON.stringify(body),
    lost: [...lost],
  }
}

/**
 * Claude's traits where it is Claude that answers. An id may hide that (a profile of the operator's own has any name), so the
 * declared name of the model counts too.
 */
function claudeBehind({ upstreamName, model }: EncodeTarget): ClaudeTraits | undefined {
  const name = [upstreamName, model.name].find((each) => /claude/i.test(each ?? ''))
  return name === undefined ? undefined : claudeTraits(name)
}

/** Bedrock's own default for Claude is 4,096 tokens and thinking counts within, so a limit is always sent there. */
function limitOf(request: NeutralRequest, { model }: EncodeTarget, claude: ClaudeTraits | undefined): number | null {
  return outputLimit(request, model) ?? (claude ? (model.maxOutputTokens ?? 4_096) : null)
}

function loseUnsaid({ sampling, choices, logprobs, user, parallelToolCalls }: NeutralRequest, lost: Lost): void {
  if (sampling.seed !== null) lost.add('seed')
  if (sampling.presencePenalty) lost.add('presencePenalty')
  if (sampling.frequencyPenalty) lost.add('frequencyPenalty')
  if (choices > 1) lost.add('choices')
  if (logprobs) lost.add('logprobs')
  if (user !== null) lost.add('user')
  if (parallelToolCalls === false) lost.add('parallelToolCalls')
}

/** Only Claude's way to be asked to think is one for all its models; others think as they do. */
function reasoningOf(
  request: NeutralRequest,
  messages: Json[],
  claude: ClaudeTraits | undefined,
  limit: number | null,
  lost: Lost,
): Json {
  if (claude) return thinkingOf(request, claude, limit!, claude.adaptive || thinksOn(messages), lost)
  const { effort, budgetTokens } = request.reasoning
  if (effort !== null || budgetTokens !== null) lost.add('reasoning')
  return {}
}

/** As with the Messages API: thinking by budget goes on only where the answer being continued began with a thought. */
function thinksOn(messages: readonly Json[]): boolean {
  let first: Json | undefined
  for (let at = messages.length - 1; at > 0 && hasResult(messages[at]!); at -= 2) first = messages[at - 1]
  return first === undefined || first.content[0]?.reasoningContent !== undefined
}

const hasResult = ({ content }: Json) => content.some((block: Json) => block.toolResult !== undefined)

/** `top_k` is no field of Converse's own: each family of models has its own place for it. */
function inferenceOf(
  request: NeutralRequest,
  { upstreamName }: EncodeTarget,
  claude: ClaudeTraits | undefined,
  thinking: Parameters<typeof samplingOf>[2],
  lost: Lost,
): { config: Json; more: Json } {
  const stop = request.stop.length > 0 && { stopSequences: request.stop }
  if (claude) {
    const { temperature, top_p: topP, top_k } = samplingOf(request, claude, thinking, lost)
    return { config: { ...given({ temperature, topP }), ...stop }, more: given({ top_k }) }
  }
  const { temperature, topP, topK } = request.sampling
  const isNova = upstreamName.includes('amazon.nova')
  if (topK !== null && !isNova) lost.add('topK')
  const more = topK !== null && isNova ? { inferenceConfig: { topK } } : {}
  return { config: { ...given({ temperature, topP }), ...stop }, more }
}

function given(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value != null))
}

function outputConfig({ output }: NeutralRequest, effort: string | undefined, lost: Lost): Json | undefined {
  if (output.type === 'json') lost.add('json')
  if (output.type !== 'schema') return effort ? { effort } : undefined
  const { name, description, schema } = output
  const jsonSchema = { schema: JSON.stringify(schema), name, ...given({ description }) }
  return { textFormat: { type: 'json_schema', structure: { jsonSchema } }, ...(effort && { effort }) }
}

/** There is no choice of `none`: tools are then left out, unless the conversation has used some, which must stay declared. */
function toolConfig(request: NeutralRequest, claude: ClaudeTraits | undefined, lost: Lost): Json | undefined {
  const called = calledTools(request.turns)
  const isOff = request.toolChoice === 'none'
  if (isOff && called.length === 0) return undefined
  if (isOff && request.tools.length > 0) lost.add('toolChoice')
  const declared = request.tools.length > 0 ? request.tools : called
  if (declared.length === 0) return undefined
  const tools = declared.flatMap(toolOf)
  const isForced = request.toolChoice === 'required' || typeof request.toolChoice === 'object'
  if (!isForced || request.tools.length === 0) return { tools }
  if (claude && !claude.forcedTools) lost.add('toolChoice')
  else return { tools, toolChoice: choiceOf(request.toolChoice) }
  return { tools }
}

const choiceOf = (choice: NeutralRequest['toolChoice']) =>
  typeof choice === 'object' ? { tool: { name: choice.name } } : { any: {} }

function toolOf({ name, description, parameters, strict, ...rest }: Tool): Json[] {
  const json = { type: 'object', ...(parameters ?? { properties: {} }) }
  const spec = { name, ...(description && { description }), inputSchema: { json }, ...(strict && { strict: true }) }
  return [{ toolSpec: spec }, ...cachePoint(rest)]
}
