import type { UpstreamError } from '../../data-plane/codecs/codec.ts'
import type { Exchange, Verdict } from '../../data-plane/exchange.ts'
import type { Upstream, UpstreamAnswer, UpstreamFailure, UpstreamRequest } from '../../data-plane/ports.ts'
import { type Refusal, refuse } from '../../schema/refusals.ts'
import { readBoundedText } from '../ports/bounded-text.ts'
import { denialAnswer, estimateAnswer, exchangeHeaders, nobodyAnswer, refusalAnswer } from './answers.ts'
import { type Expiry, Watch, type Watches } from './watch.ts'

/** What driving an exchange needs beside the exchange itself. */
export interface Driver {
  upstream: Upstream
  watches: Watches
  /** Hears of exceptions, each of which is a bug. */
  onFault: (error: unknown) => void
  /** Exchanges that go on without their client, until the provider says what they cost. */
  detached: { count: number; most: number }
}

/** What was read: bytes to release now, and at the end those that wait for the record. */
interface Step {
  chunks: Uint8Array[]
  held?: Uint8Array[]
}

/** Drives one exchange to its answer, and closes it once, whatever happens. */
export class Drive {
  #deadlineMs = 0
  #watch: Watch | undefined
  #reader: ReadableStreamDefaultReader<Uint8Array> | undefined
  #drained = false
  /** The provider has begun to answer. */
  #isFlowing = false
  /** A pull is under way: it sees how the stream ends. */
  #isPulling = false
  /** The client was given some of a stream. */
  #begun = false
  #client: (() => AbortSignal) | undefined
  #onLasting: () => void = () => {}
  #onClosed: () => void = () => {}

  constructor(
    readonly exchange: Exchange,
    readonly driver: Driver,
  ) {}

  /**
   * Opens the exchange, makes attempts until one relays or none is left, and answers, plain or streamed. `client` gives the
   * signal that aborts when the client leaves; `onLasting` is called once, when the answer takes more than a moment.
   */
  async answer(client: () => AbortSignal, onLasting: () => void): Promise<Response> {
    const { exchange } = this
    this.#client = client
    this.#onLasting = onLasting
    const verdict = await exchange.open().catch((error) => this.broken(error))
    if (verdict === 'refuse') return this.#refused()
    if (verdict === 'tell') return this.#told()
    this.#deadlineMs = performance.now() + exchange.itinerary!.route.timeouts.totalMs
    const first = await this.#begin().catch((error) => this.broken(error))
    if (first === 'refuse') return this.#refused()
    return exchange.admitted!.streamed ? this.#streamed(first) : this.#plain(first)
  }

  /**
   * Listens for the client's leaving. A request's signal costs as much as authenticating it, so it is made only for calls that
   * last; one that was aborted before says so when it is made.
   */
  #listen(): void {
    if (!this.#client) return
    this.#onLasting()
    const client = this.#client()
    this.#client = undefined
    const leave = () => this.leave()
    client.addEventListener('abort', leave, { once: true })
    this.#onClosed = () => client.removeEventListener('abort', leave)
    if (client.aborted) leave()
  }

  /** The client is gone: the upstream is cancelled, or drained while there is room for it. */
  leave(): void {
    const { exchange, driver } = this
    if (exchange.clientLeft || exchange.closed) return
    const drains = exchange.leave() === 'drain' && driver.detached.count < driver.detached.most
    if (!drains) {
      this.#watch?.abort()
      return
    }
    this.#drained = true
    driver.detached.count++
  }

  async #begin(): Promise<Step | 'refuse'> {
    for (;;) {
      if (this.exchange.clientLeft) return 'refuse'
      const begun = await this.#attempt()
      if (begun === 'relay') throw new Error('an attempt ends in bytes, another attempt or a refusal')
      if (begun !== 'retry') return begun
      const { backoffMs } = this.exchange
      if (backoffMs > 0) await Bun.sleep(backoffMs)
    }
  }

  /** One attempt, up to the first bytes that may be released. */
  async #attempt(): Promise<Step | Verdict> {
    const { exchange, driver } = this
    const begun = exchange.attempt()
    const request = begun instanceof Promise ? await this.#funded(begun) : begun
    if (request === 'refuse') return request
    const watch = new Watch(driver.watches, this.#deadlineMs)
    this.#watch = watch
    watch.onLasting = () => this.#listen()
    this.#isFlowing = false
    watch.expect('first_byte', exchange.itinerary!.route.timeouts.firstByteMs)
    const answer = await driver.upstream.send(request, watch.signal)
    if ('failed' in answer) return this.#fault(watch.expired ? timedOut(watch.expired) : notReached(answer))
    const { status, headers, scrub } = answer
    const verdict = await exchange.answer({ status, headers, scrub, errorText: () => readBoundedText(answer.body()) })
    if (verdict !== 'relay') {
      watch.done()
      discard(answer)
      return verdict
    }
    return isWhole(exchange, headers) ? this.#wholeAnswer(answer, watch) : this.#firstBytes(answer.body(), watch)
  }

  /** While money is waited for, the exchange's deadline holds and the client may leave. */
  async #funded(begun: Promise<UpstreamRequest | 'refuse'>): Promise<UpstreamRequest | 'refuse'> {
    const watch = new Watch(this.driver.watches, this.#deadlineMs)
    this.#watch = watch
    watch.onLasting = () => this.#listen()
    watch.onAbort = () => this.exchange.giveUp()
    watch.rest()
    try {
      return await begun
    } finally {
      watch.done()
    }
  }

  /** A plain answer of a declared length is read at once, without a stream. */
  async #wholeAnswer(answer: UpstreamAnswer, watch: Watch): Promise<Step | Verdict> {
    const { exchange } = this
    let bytes: Uint8Array
    watch.expect('total', exchange.itinerary!.route.timeouts.totalMs)
    try {
      bytes = await answer.bytes()
    } catch {
      return this.#fault(watch.expired ? timedOut(watch.expired) : brokeOff(clientOrCut(exchange.clientLeft)))
    }
    const released = exchange.relay(bytes)
    return typeof released === 'string' ? this.#fail(released) : this.#end()
  }

  async #firstBytes(body: ReturnType<UpstreamAnswer['body']>, watch: Watch): Promise<Step | Verdict> {
    if (!body) return this.#fault(brokeOff('Its answer is empty.'))
    const reader = body.getReader()
    this.#reader = reader
    // Aborting a fetch does not settle a read that is already waiting in every runtime; cancelling does.
    watch.onAbort = () => void reader.cancel().catch(() => {})
    return this.#bytes()
  }

  /** Reads until there is something to release, or the end. */
  async #bytes(): Promise<Step | Verdict> {
    for (;;) {
      const step = await this.#step()
      if (typeof step === 'string' || step.held || step.chunks.length > 0) return step
    }
  }

  /** Reads and relays one chunk. */
  async #step(): Promise<Step | Verdict> {
    const { exchange } = this
    const watch = this.#watch!
    if (exchange.served!.decoder.complete) return this.#end()
    if (this.#isFlowing) watch.expect('idle', exchange.itinerary!.route.timeouts.idleMs)
    let read: Bun.ReadableStreamDefaultReadResult<Uint8Array>
    try {
      read = await this.#reader!.read()
    } catch {
      return this.#fault(watch.expired ? timedOut(watch.expired) : brokeOff(clientOrCut(exchange.clientLeft)))
    }
    if (watch.expired) return this.#fault(timedOut(watch.expired))
    if (exchange.clientLeft && !this.#drained) return this.#fault(brokeOff('The client left.'))
    if (read.done) return this.#end()
    // Until the next read it is the client whom we wait for.
    this.#isFlowing = true
    watch.rest()
    const released = exchange.relay(read.value)
    return typeof released === 'string' ? this.#fail(released) : { chunks: released }
  }

  #end(): Step | Verdict {
    this.#watch!.done()
    const held = this.exchange.finish()
    if (typeof held === 'string') return this.#fail(held)
    if (this.#reader) readToEnd(this.#reader)
    return { chunks: [], held }
  }

  #fault(error: UpstreamError): Verdict {
    return this.#fail(this.exchange.fault(error))
  }

  #fail(verdict: Verdict): Verdict {
    this.#watch?.done()
    this.#reader?.cancel().catch(() => {})
    this.#reader = undefined
    return verdict
  }

  async #refused(): Promise<Response> {
    const { exchange } = this
    const unrecorded = await this.#close()
    if (exchange.denial) return denialAnswer(exchange)
    return unrecorded ? refusalAnswer(exchange.arrival.dialect, unrecorded, exchange.id) : nobodyAnswer()
  }

  /** What the gateway itself answers, once that is recorded. */
  async #told(): Promise<Response> {
    const unrecorded = await this.#close()
    return unrecorded
      ? refusalAnswer(this.exchange.arrival.dialect, unrecorded, this.exchange.id)
      : estimateAnswer(this.exchange)
  }

  /** A plain answer goes out whole, once its record is durable. */
  async #plain(step: Step): Promise<Response> {
    const unrecorded = await this.#close()
    if (unrecorded) return refusalAnswer(this.exchange.arrival.dialect, unrecorded, this.exchange.id)
    return new Response(step.held![0] as Uint8Array<ArrayBuffer>, {
      headers: { 'content-type': this.exchange.admitted!.answerType, ...exchangeHeaders(this.exchange) },
    })
  }

  #streamed(first: Step): Response {
    let begun: Step | undefined = first
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => this.#watchUnread(controller),
      pull: async (controller) => {
        this.#isPulling = true
        const step: Step | Verdict = begun ?? (await this.#bytes().catch((error) => this.broken(error)))
        begun = undefined
        if (typeof step !== 'string') for (const chunk of step.chunks) controller.enqueue(chunk)
        if (typeof step !== 'string' && step.chunks.length > 0) this.#begun = true
        if (typeof step === 'string' || step.held) {
          for (const chunk of await this.#lastBytes(step)) controller.enqueue(chunk)
          controller.close()
        }
        this.#isPulling = false
      },
      cancel: () => this.leave(),
    })
    return new Response(stream, {
      headers: {
        'content-type': this.exchange.admitted!.answerType,
        'cache-control': 'no-cache',
        ...exchangeHeaders(this.exchange),
      },
    })
  }

  /**
   * A client that does not read is not pulled for, so nobody would see the deadline pass or the client go: then the exchange
   * closes from here.
   */
  #watchUnread(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const watch = this.#watch!
    const abort = watch.onAbort
    watch.onAbort = () => {
      abort?.()
      if (this.#isPulling || this.exchange.closed) return
      if (watch.expired) this.#fault(timedOut(watch.expired))
      this.#close().catch((error) => this.driver.onFault(error))
      controller.error(new Error('the answer was given up'))
    }
  }

  /** A bug met on the way: the exchange still closes, and is charged for what was sent. */
  broken(error: unknown): 'refuse' {
    this.driver.onFault(error)
    this.#fail('refuse')
    return this.exchange.refuse(refuse('invariant_broken'))
  }

  /** How a stream ends: with what was held back, or with the refusal that broke it off, and not before it is recorded. */
  async #lastBytes(step: Step | Verdict): Promise<Uint8Array[]> {
    const { denial, arrival, admitted } = this.exchange
    const unrecorded = await this.#close()
    const stream = { request: admitted!, begun: this.#begun }
    if (unrecorded) return [encoder.encode(arrival.dialect.renderStreamRefusal(unrecorded, undefined, stream))]
    if (typeof step !== 'string') return step.held!
    return denial ? [encoder.encode(arrival.dialect.renderStreamRefusal(denial.refusal, denial.body, stream))] : []
  }

  async #close(): Promise<Refusal | undefined> {
    this.#watch?.done()
    this.#onClosed()
    if (this.#drained) this.driver.detached.count--
    return this.exchange.close()
  }
}

const encoder = new TextEncoder()

/** True for a plain answer whose declared length is within bounds: nothing of it goes out before all of it is there. */
function isWhole(exchange: Exchange, headers: Headers): boolean {
  const length = headers.get('content-length')
  return !exchange.admitted!.streamed && length !== null && isPlainLength(length, headers)
}

/** With chunks or compression the length says nothing of what will come. */
function isPlainLength(length: string, headers: Headers): boolean {
  return Number(length) <= wholeBytesMax && !headers.has('content-encoding') && !headers.has('transfer-encoding')
}

/** What is not read is not fetched either: a body left alone would keep its connection. */
function discard(answer: UpstreamAnswer): void {
  if (answer.headers.has('content-encoding'))
    answer
      .body()
      ?.cancel()
      .catch(() => {})
}

const wholeBytesMax = 16 * 1024 * 1024

const clientOrCut = (left: boolean) => (left ? 'The client left.' : 'The connection was cut.')

/** A finished answer's connection is read to its end, so that it can be used again; one that goes on talking is cut. */
function readToEnd(reader: ReadableStreamDefaultReader<Uint8Array>): void {
  const cancel = () => reader.cancel().catch(() => {})
  const silent = setTimeout(cancel, endWithinMs)
  reader
    .read()
    .then(({ done }) => (done ? undefined : cancel()))
    .catch(() => {})
    .finally(() => clearTimeout(silent))
}

const endWithinMs = 500

function notReached(failure: UpstreamFailure): UpstreamError {
  if (failure.failed === 'CREDENTIAL_UNAVAILABLE')
    return {
      refusal: refuse('upstream_auth_failed', 'Its credential is not available to this gateway.'),
      cause: 'AUTH_FAILED',
      free: true,
    }
  if (failure.failed === 'BROKE_OFF') return brokeOff('The connection was cut.')
  const detail = failure.failed === 'EGRESS_UNAVAILABLE' ? failure.detail : 'It could not be reached.'
  return { refusal: refuse('upstream_overloaded', detail), cause: 'CONNECT_FAILED', free: true }
}

/** The provider may have worked, and may bill, for what it did not answer in time. */
function timedOut(expiry: Expiry): UpstreamError {
  return { refusal: refuse('upstream_timeout', timeoutSentences[expiry]), cause: 'TIMEOUT', free: false }
}

const timeoutSentences = {
  first_byte: 'It sent no first byte.',
  idle: 'It fell silent within its answer.',
  total: 'Its answer took longer than the route allows.',
}

function brokeOff(detail: string): UpstreamError {
  return { refusal: refuse('upstream_broke_off', detail), cause: 'SERVER_ERROR', free: false }
}
