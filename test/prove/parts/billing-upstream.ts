import { formatAmount } from '../../../schema/money.ts'
import { type Question, questionIn } from './budget-questions.ts'

/** What the provider wants for one question, by its own count. */
export interface Charge {
  at: number
  /** `performance.now()` of its arrival and of the last byte of its answer. */
  fromMs: number
  toMs: number
  /** At 10⁻¹². */
  cost: bigint
}

/** A provider that keeps a bill of its own: what it sends there is the truth that a budget is judged by. */
export interface BillingUpstream {
  url: string
  readonly bill: Charge[]
  stop(): Promise<void>
}

const pieces = 5

interface Asked {
  model: string
  stream?: boolean
  stream_options?: { include_usage?: boolean }
  max_tokens?: number
  max_completion_tokens?: number
  messages: { content: string }[]
}

/**
 * What it makes it wants paid: all of a plain answer, whether or not anybody still listens; of a stream that is cancelled, what
 * was sent until then.
 */
export function billingUpstream(questions: (at: number) => Question): BillingUpstream {
  const bill: Charge[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    idleTimeout: 120,
    fetch: async (request) => {
      const asked = (await request.json()) as Asked
      const question = questions(questionIn(asked.messages[0]!.content))
      const usage = { ...question.usage, output: Math.min(question.usage.output, outputMax(asked)) }
      const costOf = ({ input, output }: Usage) =>
        question.model.input * BigInt(input) + question.model.output * BigInt(output)
      const fromMs = performance.now()
      const charge = { at: question.at, fromMs, toMs: fromMs + question.takesMs, cost: costOf(usage) }
      bill.push(charge)
      if (asked.stream) {
        const sent = { output: 0 }
        const cancelled = () => Object.assign(charge, { cost: costOf({ ...usage, output: sent.output }) })
        return eventStream(streamed(asked, usage, question.takesMs, charge, sent), cancelled)
      }
      await Bun.sleep(question.takesMs)
      charge.toMs = performance.now()
      return Response.json(whole(asked, usage))
    },
  })
  return { url: `http://127.0.0.1:${server.port}`, bill, stop: () => server.stop(true) }
}

/** A provider never makes more than it was allowed to. */
function outputMax({ max_tokens, max_completion_tokens }: Asked): number {
  return max_completion_tokens ?? max_tokens ?? Number.POSITIVE_INFINITY
}

type Usage = Question['usage']

function whole(asked: Asked, usage: Usage): object {
  const message = { role: 'assistant', content: 'Well, well.' }
  return {
    ...common(asked, 'chat.completion'),
    choices: [{ index: 0, message, finish_reason: 'stop' }],
    usage: reported(usage),
  }
}

function eventStream(events: AsyncGenerator<Uint8Array<ArrayBuffer>>, cancelled: () => void): Response {
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    pull: async (controller) => {
      const { done, value } = await events.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
    cancel: () => {
      cancelled()
      void events.return(undefined)
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

async function* streamed(asked: Asked, usage: Usage, takesMs: number, charge: Charge, sent: { output: number }) {
  const event = (choices: object[], told?: object) =>
    encoder.encode(`data: ${JSON.stringify({ ...common(asked, 'chat.completion.chunk'), choices, usage: told })}\n\n`)
  for (let piece = 1; piece <= pieces; piece++) {
    const through = Math.floor((usage.output * piece) / pieces)
    // A token is a byte at least.
    const content = 'x'.repeat(through - sent.output)
    sent.output = through
    yield event([{ index: 0, delta: { content }, finish_reason: null }])
    await Bun.sleep(takesMs / pieces)
  }
  yield event([{ index: 0, delta: {}, finish_reason: 'stop' }])
  if (asked.stream_options?.include_usage) yield event([], reported(usage))
  charge.toMs = performance.now()
  yield encoder.encode('data: [DONE]\n\n')
}

const encoder = new TextEncoder()

const common = ({ model }: Asked, object: string) => ({ id: 'chatcmpl-billed', object, created: 1_767_225_600, model })

const reported = ({ input, output }: Usage) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
})

/** What is wanted in all, for figures. */
export const billed = (bill: readonly Charge[]) => formatAmount(bill.reduce((sum, { cost }) => sum + cost, 0n))
