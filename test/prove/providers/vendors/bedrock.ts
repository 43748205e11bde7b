import { EventStreamCodec } from '@smithy/eventstream-codec'
import { type Heard, nothingHeard, pieces, type Score, thoughtSignature, type Usage } from '../scenes.ts'
import { type AwsKeys, wrongSignature } from './sigv4.ts'
import { firstHalf, type Json, parsed, strangers, type Vendor, type Wrong } from './vendor.ts'

export const bedrockModel = 'eu.anthropic.claude-sonnet-4-5-20250929-v1:0'

export function bedrockVendor(keys: AwsKeys, region: string): Vendor {
  return {
    name: 'bedrock',
    kinds: ['fresh', 'cached', 'write5m', 'write1h', 'output'],
    thoughtsShown: true,
    door: (request, body) => door(request, body, keys, region),
    hear,
    tell,
    stream,
    error: ({ message }) => ({ message }),
    errorHeaders: ({ status }) => ({ 'x-amzn-errortype': exceptions[status] ?? 'InternalServerException' }),
    streamType: 'application/vnd.amazon.eventstream',
  }
}

async function door(request: Request, body: string, keys: AwsKeys, region: string): Promise<Wrong | undefined> {
  const { pathname, search } = new URL(request.url)
  const path = `/model/${encodeURIComponent(bedrockModel)}`
  if ((pathname !== `${path}/converse` && pathname !== `${path}/converse-stream`) || search)
    return { status: 404, message: `No such operation: ${pathname}${search}` }
  const wrong = await wrongSignature(request, body, keys, region)
  return wrong === undefined ? undefined : { status: 403, message: wrong }
}

function hear(body: Json, request: Request): Heard {
  const heard = nothingHeard(request.url.endsWith('/converse-stream'))
  const { faults } = heard
  strangers(
    body,
    'messages system inferenceConfig toolConfig guardrailConfig additionalModelRequestFields promptVariables ' +
      'additionalModelResponseFieldPaths requestMetadata performanceConfig serviceTier outputConfig',
    'body',
    faults,
  )
  strangers(body.inferenceConfig ?? {}, 'maxTokens temperature topP stopSequences', 'inferenceConfig', faults)
  heard.system = (body.system ?? []).map((block: Json) => block.text ?? '').join('')
  const { thinking } = body.additionalModelRequestFields ?? {}
  heard.thinks = thinking?.type === 'enabled' || thinking?.type === 'adaptive'
  heard.shows = thinking?.display !== 'omitted'
  if (
    thinking?.type === 'enabled' &&
    !(thinking.budget_tokens >= 1_024 && thinking.budget_tokens < body.inferenceConfig?.maxTokens)
  )
    faults.push('thinking.budget_tokens: at least 1024 and below maxTokens')
  for (const { toolSpec, ...other } of body.toolConfig?.tools ?? []) {
    if (!toolSpec) strangers(other, 'cachePoint', 'toolConfig.tools', faults)
    else {
      strangers(toolSpec, 'name description inputSchema strict', 'toolSpec', faults)
      heard.tools.push({ name: toolSpec.name, parameters: toolSpec.inputSchema.json })
    }
  }
  const format = body.outputConfig?.textFormat
  if (format) heard.schema = parsed(format.structure?.jsonSchema?.schema, faults)
  hearMessages(body, heard)
  return heard
}

function hearMessages({ messages, toolConfig }: Json, heard: Heard): void {
  const { faults } = heard
  let open = new Map<string, string>()
  for (const [at, { role, content }] of messages.entries()) {
    if (role !== (at % 2 === 0 ? 'user' : 'assistant'))
      faults.push('roles must alternate between "user" and "assistant"')
    if (!content?.length) faults.push(`messages.${at}.content: is empty`)
    const answered = new Set<string>()
    if (role === 'assistant') heard.results = []
    for (const block of content) {
      if (Object.keys(block).length !== 1) faults.push(`messages.${at}: a block of ${Object.keys(block)}`)
      if (role === 'assistant') hearAssistant(block, heard, open)
      else hearUser(block, heard, open, answered)
    }
    if (role === 'assistant') continue
    if (answered.size !== open.size) faults.push('The number of toolResult blocks does not match the toolUse blocks')
    open = new Map()
  }
  if (open.size > 0) faults.push('the last toolUse was not answered')
  if (heard.calls.length > 0 && !toolConfig) faults.push('The toolConfig field must be defined when using toolUse')
}

function hearAssistant(block: Json, heard: Heard, open: Map<string, string>): void {
  const { faults } = heard
  if (block.reasoningContent) {
    const { text, signature } = block.reasoningContent.reasoningText ?? {}
    if (signature !== thoughtSignature) faults.push('Invalid signature in reasoningContent')
    heard.thoughts.push({ text, signature })
  } else if (block.toolUse) {
    const { toolUseId, name, input } = block.toolUse
    if (!/^[a-zA-Z0-9_-]{1,64}$/.test(toolUseId)) faults.push('toolUseId: must satisfy the pattern')
    if (typeof input !== 'object' || input === null) faults.push('toolUse.input: is no document')
    open.set(toolUseId, name)
    heard.calls.push({ id: toolUseId, name, arguments: input })
  } else if (!block.text && !block.cachePoint) faults.push(`an assistant's block of ${Object.keys(block)}`)
}

function hearUser(block: Json, heard: Heard, open: Map<string, string>, answered: Set<string>): void {
  const { faults } = heard
  if (typeof block.text === 'string') heard.userText += block.text
  else if (block.image) heard.images.push({ mediaType: `image/${block.image.format}`, data: block.image.source.bytes })
  else if (block.toolResult) {
    const { toolUseId, content } = block.toolResult
    const name = open.get(toolUseId)
    if (!name) faults.push(`no toolUse for ${toolUseId}`)
    answered.add(toolUseId)
    heard.results.push({
      name: name ?? '',
      text: content.map((part: Json) => part.text ?? JSON.stringify(part.json)).join(''),
    })
  } else if (!block.cachePoint) faults.push(`a user's block of ${Object.keys(block)}`)
}

function usageOf({ fresh, cached, write5m, write1h, output }: Usage): Json {
  const details = [
    { ttl: '5m', inputTokens: write5m },
    { ttl: '1h', inputTokens: write1h },
  ].filter(({ inputTokens }) => inputTokens > 0)
  return {
    inputTokens: fresh,
    outputTokens: output,
    totalTokens: fresh + cached + write5m + write1h + output,
    cacheReadInputTokens: cached,
    cacheWriteInputTokens: write5m + write1h,
    ...(details.length > 0 && { cacheDetails: details }),
  }
}

const stopReason = ({ calls }: Score) => (calls.length > 0 ? 'tool_use' : 'end_turn')

function tell(score: Score): object {
  const { reasoned, thought, text, calls, usage } = score
  const content = [
    ...(reasoned ? [{ reasoningContent: { reasoningText: { text: thought, signature: thoughtSignature } } }] : []),
    ...(text ? [{ text }] : []),
    ...calls.map(({ id, name, arguments: input }) => ({
      toolUse: { toolUseId: `tooluse_${id}`.slice(0, 64), name, input },
    })),
  ]
  return {
    output: { message: { role: 'assistant', content } },
    stopReason: stopReason(score),
    usage: usageOf(usage),
    metrics: { latencyMs: 12 },
  }
}

const codec = new EventStreamCodec(
  (bytes) => new TextDecoder().decode(bytes as Uint8Array),
  (text) => new TextEncoder().encode(text),
)

function message(kind: 'event' | 'exception', type: string, payload: object): Uint8Array {
  return codec.encode({
    headers: {
      [`:${kind}-type`]: { type: 'string', value: type },
      ':content-type': { type: 'string', value: 'application/json' },
      ':message-type': { type: 'string', value: kind },
    },
    // Bedrock pads its events with letters of no meaning, so that their lengths tell nothing.
    body: new TextEncoder().encode(JSON.stringify({ ...payload, p: 'abcdefghij' })),
  })
}

function stream(score: Score): Uint8Array[] {
  const { failure, cut, usage } = score
  const events = [message('event', 'messageStart', { role: 'assistant' }), ...blockEvents(score)]
  if (cut) return firstHalf(events)
  if (failure)
    return [...firstHalf(events), message('exception', 'serviceUnavailableException', { message: failure.message })]
  return [
    ...events,
    message('event', 'messageStop', { stopReason: stopReason(score) }),
    message('event', 'metadata', { usage: usageOf(usage), metrics: { latencyMs: 12 } }),
  ]
}

function blockEvents({ reasoned, thought, text, calls }: Score): Uint8Array[] {
  let contentBlockIndex = -1
  const delta = (given: object) => message('event', 'contentBlockDelta', { contentBlockIndex, delta: given })
  const block = (start: object | undefined, deltas: object[]) => {
    contentBlockIndex++
    return [
      ...(start ? [message('event', 'contentBlockStart', { contentBlockIndex, start })] : []),
      ...deltas.map(delta),
      message('event', 'contentBlockStop', { contentBlockIndex }),
    ]
  }
  const reasoning = [...pieces(thought).map((piece) => ({ text: piece })), { signature: thoughtSignature }]
  return [
    ...(reasoned
      ? block(
          undefined,
          reasoning.map((reasoningContent) => ({ reasoningContent })),
        )
      : []),
    ...(text
      ? block(
          undefined,
          pieces(text).map((piece) => ({ text: piece })),
        )
      : []),
    ...calls.flatMap(({ id, name, arguments: input }) =>
      block(
        { toolUse: { toolUseId: `tooluse_${id}`.slice(0, 64), name } },
        pieces(JSON.stringify(input), 5).map((piece) => ({ toolUse: { input: piece } })),
      ),
    ),
  ]
}

const exceptions: Record<number, string> = {
  ...{ 400: 'ValidationException', 403: 'AccessDeniedException', 404: 'ResourceNotFoundException' },
  ...{ 408: 'ModelTimeoutException', 424: 'ModelErrorException', 429: 'ThrottlingException' },
  ...{ 500: 'InternalServerException', 503: 'ServiceUnavailableException' },
}
