/** A provider that answers at once (`instant`) or dawdles (`dawdling`), plain or streamed, with usage that its question decides. */
export interface InstantUpstream {
  url: string
  /** Calls that reached it. */
  readonly calls: number
  stop(): Promise<void>
}

/** What question number `at` uses; both sides know it, so that each answer's cost is known to the last digit. */
export const usageOf = (at: number) => ({ input: 10 + (at % 89), output: 4 + (at % 13) })

/** The question that carries its number. */
export const questionOf = (at: number) => `This is question ${at}, and no other.`

const dawdleMs = 120
const pieces = 4

interface Asked {
  model: string
  stream?: boolean
  stream_options?: { include_usage?: boolean }
  messages: { content: string }[]
}

export function instantUpstream(): InstantUpstream {
  const state = { calls: 0 }
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 60,
    fetch: async (request) => {
      const asked = (await request.json()) as Asked
      state.calls++
      const waitMs = asked.model === 'dawdling' ? dawdleMs : 0
      if (asked.stream) return eventStream(streamed(asked, waitMs))
      if (waitMs) await Bun.sleep(waitMs * pieces)
      const message = { role: 'assistant', content: 'Well, well.' }
      return Response.json({
        ...common(asked, 'chat.completion'),
        choices: [{ index: 0, message, finish_reason: 'stop' }],
        usage: reported(asked),
      })
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}`,
    get calls() {
      return state.calls
    },
    stop: () => server.stop(true),
  }
}

function eventStream(events: AsyncGenerator<Uint8Array<ArrayBuffer>>): Response {
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: async (controller) => {
      const { done, value } = await events.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

async function* streamed(asked: Asked, waitMs: number): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const event = (choices: object[], usage?: object) =>
    encoder.encode(`data: ${JSON.stringify({ ...common(asked, 'chat.completion.chunk'), choices, usage })}\n\n`)
  for (let piece = 0; piece < pieces; piece++) {
    yield event([{ index: 0, delta: { content: `Well ${piece}, ` }, finish_reason: null }])
    if (waitMs) await Bun.sleep(waitMs)
  }
  yield event([{ index: 0, delta: {}, finish_reason: 'stop' }])
  if (asked.stream_options?.include_usage) yield event([], reported(asked))
  yield encoder.encode('data: [DONE]\n\n')
}

const encoder = new TextEncoder()

const common = ({ model }: Asked, object: string) => ({ id: 'chatcmpl-instant', object, created: 1_767_225_600, model })

function reported({ messages }: Asked): object {
  const { input, output } = usageOf(Number(/question (\d+)/.exec(messages[0]!.content)![1]))
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output }
}
