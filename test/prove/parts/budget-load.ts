import type { Question } from './budget-questions.ts'
import type { Asking } from './steady-load.ts'

/** What became of one question, as its client saw it. */
export interface Answered {
  question: Question
  /** Of `x-sluice-request-id`; null where no head arrived. */
  id: string | null
  /** The code of a refusal; 'answered' = the whole body; 'left' = its own client went away; 'unheard' = the connection ended. */
  outcome: string
  /** Which gateway was asked. */
  gateway: string
  /** `performance.now()`. */
  fromMs: number
  toMs: number
  /** Its gateway was killed while it was on its way. */
  excused: boolean
}

/** A gateway that can be asked, killed and started again. */
export type Member = Asking & { name: string }

const patienceMs = 60_000

/** Clients that all ask at once, each any gateway that serves then. */
export class BudgetLoad {
  readonly answered: Answered[] = []

  constructor(
    readonly gateways: Member[],
    /** Secrets, by the name of their key. */
    readonly secrets: ReadonlyMap<string, string>,
  ) {}

  /** All of them at the same time; resolves when each has come to its end. */
  async wave(questions: readonly Question[]): Promise<void> {
    await Promise.all(questions.map((question) => this.ask(question)))
  }

  async ask(question: Question): Promise<Answered> {
    const gateway = await this.#serving(question.at)
    const kills = gateway.kills
    const noted: Answered = {
      ...{ question, id: null, outcome: 'unheard', gateway: gateway.name },
      ...{ fromMs: performance.now(), toMs: Number.POSITIVE_INFINITY, excused: false },
    }
    this.answered.push(noted)
    const leave = new AbortController()
    const timers = [setTimeout(() => leave.abort(), question.leavesAfterMs ?? patienceMs)]
    try {
      const answer = await this.#fetch(gateway, question, leave.signal)
      noted.id = answer.headers.get('x-sluice-request-id')
      const text = await answer.text()
      const whole = question.streamed ? text.endsWith('data: [DONE]\n\n') : text.endsWith('}')
      const refusal = answer.headers.get('x-sluice-refusal')
      noted.outcome = refusal ?? (answer.status === 200 && whole ? 'answered' : `broken ${answer.status}`)
    } catch (error) {
      noted.outcome = leave.signal.aborted ? 'left' : 'unheard'
      if (!leave.signal.aborted && gateway.kills === kills) noted.outcome = `unheard: ${error}`
    }
    for (const timer of timers) clearTimeout(timer)
    noted.toMs = performance.now()
    noted.excused = gateway.kills > kills
    return noted
  }

  async #serving(at: number): Promise<Member> {
    for (;;) {
      const order = [...this.gateways.slice(at % this.gateways.length), ...this.gateways]
      const found = order.find(({ serving }) => serving)
      if (found) return found
      await Bun.sleep(20)
    }
  }

  #fetch({ url }: Asking, question: Question, signal: AbortSignal): Promise<Response> {
    const { asker, model, text, streamed, maxTokens } = question
    return fetch(`${url}/v1/chat/completions`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${this.secrets.get(asker.key)}`,
        'content-type': 'application/json',
        ...(question.case && { 'x-sluice-labels': `case=${question.case}` }),
      },
      body: JSON.stringify({
        model: model.name,
        messages: [{ role: 'user', content: text }],
        max_tokens: maxTokens,
        stream: streamed,
      }),
      signal,
    })
  }
}
