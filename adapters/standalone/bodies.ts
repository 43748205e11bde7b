import { isRefusal, type Refusal, refuse } from '../../schema/refusals.ts'
import { readBody } from './body.ts'

/** A body of unknown length counts as this much until it is read. */
const unknownBytes = 1024 * 1024

/**
 * The bodies of all requests under way: each is bounded, and so is their sum, since a hundred at the bound of one would end the
 * process. A body is held until its exchange closes, as every attempt encodes from it.
 */
export class Bodies {
  readonly #sumMax: number
  #sum = 0

  constructor(readonly bytesMax: number) {
    this.#sumMax = Math.max(256 * 1024 * 1024, bytesMax * 4)
  }

  /** The body of one request: read it once, free it once. */
  of(request: Request): HeldBody {
    return new HeldBody(request, this)
  }

  hasRoom(bytes: number): boolean {
    return this.#sum + bytes <= this.#sumMax
  }

  hold(bytes: number): void {
    this.#sum += bytes
  }
}

export class HeldBody {
  #bytes = 0

  constructor(
    readonly request: Request,
    readonly bodies: Bodies,
  ) {}

  async read(): Promise<string | Refusal> {
    const { request, bodies } = this
    const declared = Number(request.headers.get('content-length') ?? unknownBytes) || 0
    const expected = Math.min(declared, bodies.bytesMax)
    if (!bodies.hasRoom(expected)) return refuse('gateway_overloaded')
    this.#hold(expected)
    const text = await readBody(request, bodies.bytesMax)
    if (!isRefusal(text)) this.#hold(text.length)
    return text
  }

  free(): void {
    this.#hold(0)
  }

  #hold(bytes: number): void {
    this.bodies.hold(bytes - this.#bytes)
    this.#bytes = bytes
  }
}
