import { isRefusal, type Refusal, refuse } from '../../schema/refusals.ts'
import { readBody } from './body.ts'

/** A body of unknown length counts as this much until it is read. */
const unknownBytes = 1024 * 1024

/**
 * The bodies of all requests under way: each is bounded, and so is their sum, since a hundred at the bound of one would end the
 * process. A body is held until its exchange closes, as every attempt encodes from it.
 */
export class Bodies {
  readonly #held = new WeakMap<Request, number>()
  readonly #sumMax: number
  #sum = 0

  constructor(readonly bytesMax: number) {
    this.#sumMax = Math.max(256 * 1024 * 1024, bytesMax * 4)
  }

  async read(request: Request): Promise<string | Refusal> {
    const declared = Math.min(Number(request.headers.get('content-length') ?? unknownBytes) || 0, this.bytesMax)
    if (this.#sum + declared > this.#sumMax) return refuse('gateway_overloaded')
    this.#hold(request, declared)
    const text = await readBody(request, this.bytesMax)
    if (!isRefusal(text)) this.#hold(request, text.length)
    return text
  }

  free(request: Request): void {
    this.#hold(request, 0)
  }

  #hold(request: Request, bytes: number): void {
    this.#sum += bytes - (this.#held.get(request) ?? 0)
    this.#held.set(request, bytes)
  }
}
