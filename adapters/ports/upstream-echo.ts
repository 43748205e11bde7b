import type { UpstreamAnswer, UpstreamRequest } from '../../data-plane/ports.ts'

/** The part of a chat request that the echo looks at. */
interface EchoRequest {
  model?: string
  messages?: { role?: string; content?: unknown }[]
  stream?: boolean
  stream_options?: { include_usage?: boolean }
  max_tokens?: number
  max_completion_tokens?: number
}

/**
 * The built-in provider: answers a chat with the last message's own words, so that the first request works without any
 * provider. A word counts as a token; everything else is as a real provider of chat completions would do it.
 */
export function answerEcho(request: UpstreamRequest): UpstreamAnswer {
  const asked = JSON.parse(request.body) as EchoRequest
  const limit = Math.min(
    asked.max_tokens ?? Number.POSITIVE_INFINITY,
    asked.max_completion_tokens ?? Number.POSITIVE_INFINITY,
  )
  const all = words(textOf(asked.messages?.at(-1)?.content) || 'Say something, and it comes back.')
  const said = all.slice(0, limit)
  const reply: Reply = {
    id: `chatcmpl-${crypto.randomUUID()}`,
    created: Math.floor(Date.now() / 1000),
    model: asked.model ?? 'echo',
    said,
    finish: said.length < all.length ? 'length' : 'stop',
    usage: usageOf(asked.messages ?? [], said.length),
  }
  const type = asked.stream ? 'text/event-stream' : 'application/json'
  const body = asked.stream ? streamed(reply, asked.stream_options?.include_usage === true) : plain(reply)
  const bytes = new TextEncoder().encode(body)
  return {
    status: 200,
    headers: new Headers({ 'content-type': type, 'content-length': String(bytes.length) }),
    body: () => new Blob([bytes]).stream(),
    bytes: async () => bytes,
    scrub: (text) => text,
  }
}

interface Reply {
  id: string
  created: number
  model: string
  said: string[]
  finish: 'stop' | 'length'
  usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number }
}

/** Words with the space before them, so that they join to the very text. */
function words(text: string): string[] {
  return text.match(/\s*\S+/g) ?? []
}

function textOf(content: unknown): string {
  if (typeof content === 'string') return content
  if (!Array.isArray(content)) return ''
  return content.map((part) => (typeof part?.text === 'string' ? part.text : '')).join('')
}

function usageOf(messages: { content?: unknown }[], said: number): Reply['usage'] {
  const prompt = messages.reduce((sum, message) => sum + words(textOf(message.content)).length, 0)
  return { prompt_tokens: prompt, completion_tokens: said, total_tokens: prompt + said }
}

function plain({ id, created, model, said, finish, usage }: Reply): string {
  const message = { role: 'assistant', content: said.join(''), refusal: null }
  const choices = [{ index: 0, message, logprobs: null, finish_reason: finish }]
  return JSON.stringify({ id, object: 'chat.completion', created, model, choices, usage })
}

function streamed({ id, created, model, said, finish, usage }: Reply, showsUsage: boolean): string {
  const chunk = (choices: unknown[], extra: object = {}) =>
    `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', created, model, choices, ...extra })}\n\n`
  const delta = (content: object, finish_reason: string | null = null) =>
    chunk([{ index: 0, delta: content, logprobs: null, finish_reason }], showsUsage ? { usage: null } : {})
  return [
    delta({ role: 'assistant', content: '' }),
    ...said.map((content) => delta({ content })),
    delta({}, finish),
    ...(showsUsage ? [chunk([], { usage })] : []),
    'data: [DONE]\n\n',
  ].join('')
}
