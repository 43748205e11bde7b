/** How the exchange ended, seen from the upstream. */
export type Outcome = 'answered' | 'client left' | 'broke off' | 'upstream stopped'

/** One request as the scripted upstream received it, and what became of its answer. Times are `performance.now()`. */
export class RecordedRequest {
  readonly receivedAt = performance.now()
  headSentAt: number | undefined
  firstChunkSentAt: number | undefined
  endedAt: number | undefined
  outcome: Outcome | undefined
  chunksSent = 0
  bytesSent = 0
  /** Resolves when the answer is over, however it ended. */
  readonly ended: Promise<Outcome>
  private resolveEnded!: (outcome: Outcome) => void
  private parsed: { value: unknown } | undefined

  constructor(
    readonly method: string,
    /** Path and query as sent. */
    readonly path: string,
    /** Names and values as sent, in order. */
    readonly rawHeaders: readonly (readonly [name: string, value: string])[],
    /** The body's bytes; a chunked request's framing is taken off. */
    readonly body: Buffer,
    /** Which connection it came on: 1, 2, … */
    readonly connection: number,
  ) {
    this.ended = new Promise((resolve) => {
      this.resolveEnded = resolve
    })
  }

  /** Header values by lower-case name; of repeated names the last. */
  get headers(): Record<string, string> {
    return Object.fromEntries(this.rawHeaders.map(([name, value]) => [name.toLowerCase(), value]))
  }

  get text(): string {
    return this.body.toString('utf8')
  }

  /** The body as JSON; undefined when it is none. */
  get json(): unknown {
    if (!this.parsed) {
      try {
        this.parsed = { value: JSON.parse(this.text) }
      } catch {
        this.parsed = { value: undefined }
      }
    }
    return this.parsed.value
  }

  /** A member of the JSON body by its path: `member('stream_options', 'include_usage')`. */
  member(...names: string[]): unknown {
    let value = this.json
    for (const name of names) {
      value = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
    }
    return value
  }

  /** The model asked for: `model` of the body, or the name in a path of Gemini's, Azure's or Bedrock's kind. */
  get model(): string | undefined {
    const named = this.member('model')
    if (typeof named === 'string') return named
    const inPath = /\/(?:models?|deployments)\/([^/:?]+)/.exec(this.path)?.[1]
    return inPath && decodeURIComponent(inPath)
  }

  get streamed(): boolean {
    return this.member('stream') === true
  }

  get clientLeft(): boolean {
    return this.outcome === 'client left'
  }

  /** Called once by the upstream; later calls change nothing. */
  end(outcome: Outcome): void {
    if (this.outcome) return
    this.outcome = outcome
    this.endedAt = performance.now()
    this.resolveEnded(outcome)
  }
}
