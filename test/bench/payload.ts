/** What every row of the bench sends and gets back: a 2 KB prompt, a 1 KB answer, or 41 events of some 6.5 KB. */

const prose =
  'The harbour office keeps a ledger of every vessel that came in since the lighthouse was built, and the clerk who writes it ' +
  'reads the tide from a brass gauge by the window. On quiet days he copies the oldest pages, since salt air eats the ink. '

/** Plain prose of so many bytes. */
const text = (bytes: number) => prose.repeat(Math.ceil(bytes / prose.length)).slice(0, bytes)

export const upstreamModel = 'bench'
/** The name that a gateway with aliases is asked for. */
export const alias = 'house'

/** The body of a request: 2 KB. */
export function requestBody(model: string, stream: boolean): string {
  const messages = [
    { role: 'system', content: 'You answer questions about a harbour, shortly and from the ledger alone.' },
    { role: 'user', content: text(1_750) },
  ]
  return JSON.stringify({ model, messages, temperature: 0.7, max_tokens: 400, ...(stream && { stream: true }) })
}

/** How clients of another protocol ask the same. */
export type Asked = 'chat' | 'responses' | 'anthropic'

export const pathOf: Record<Asked, string> = {
  chat: '/v1/chat/completions',
  responses: '/v1/responses',
  anthropic: '/v1/messages',
}

/** The same 2 KB in the protocol that is asked in. */
export function requestIn(asked: Asked, model: string, stream: boolean): string {
  if (asked === 'chat') return requestBody(model, stream)
  const { messages, temperature, max_tokens } = JSON.parse(requestBody(model, stream))
  const [{ content: system }, user] = messages
  const rest = { model, temperature, ...(stream && { stream: true }) }
  return asked === 'anthropic'
    ? JSON.stringify({ ...rest, system, messages: [user], max_tokens })
    : JSON.stringify({ ...rest, instructions: system, input: [user], max_output_tokens: max_tokens, store: false })
}

const usage = {
  prompt_tokens: 391,
  completion_tokens: 152,
  total_tokens: 543,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
}

/** The plain answer: 1 KB. */
export const plainAnswer = JSON.stringify({
  id: 'chatcmpl-9vQ2mQk2Zf0aB7cD8eF9gH0iJ1kL2',
  object: 'chat.completion',
  created: 1_790_000_000,
  model: upstreamModel,
  choices: [
    {
      index: 0,
      message: { role: 'assistant', content: text(520), refusal: null },
      logprobs: null,
      finish_reason: 'stop',
    },
  ],
  usage,
  service_tier: 'default',
  system_fingerprint: 'fp_44709d6fcb',
})

/** The same answer as Anthropic tells it. */
export const plainMessage = JSON.stringify({
  id: 'msg_01XFDUDYJgAACzvnptvVoYEL',
  type: 'message',
  role: 'assistant',
  model: upstreamModel,
  content: [{ type: 'text', text: text(520) }],
  stop_reason: 'end_turn',
  stop_sequence: null,
  usage: { input_tokens: 391, cache_creation_input_tokens: 0, cache_read_input_tokens: 0, output_tokens: 152 },
})

const eventsPerWrite = 4

/**
 * The streamed answer in the pieces it is written in: 38 events that say something, one that ends it, usage and `[DONE]`. As
 * OpenAI has it ("Create chat completion", stream_options), one who asked for usage sees `"usage":null` in every other event.
 */
export function streamedAnswer(showsUsage: boolean): string[] {
  const event = (choices: object[], more: object = showsUsage ? { usage: null } : {}) =>
    `data: ${JSON.stringify({
      id: 'chatcmpl-9',
      object: 'chat.completion.chunk',
      created: 1_790_000_000,
      model: upstreamModel,
      choices,
      ...more,
    })}\n\n`
  const delta = (content: object, finish_reason: string | null = null) => [{ index: 0, delta: content, finish_reason }]
  const said = Array.from({ length: 37 }, (_, at) => event(delta({ content: text(at * 4 + 4).slice(at * 4) })))
  const events = [
    event(delta({ role: 'assistant', content: '' })),
    ...said,
    event(delta({}, 'stop')),
    event([], { usage }),
    'data: [DONE]\n\n',
  ]
  return Array.from({ length: Math.ceil(events.length / eventsPerWrite) }, (_, at) =>
    events.slice(at * eventsPerWrite, (at + 1) * eventsPerWrite).join(''),
  )
}
