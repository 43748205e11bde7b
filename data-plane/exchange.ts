import type { Outcome, RecordAttempt, RecordMeter } from '../schema/flight-record.ts'
import { mintId } from '../schema/ids.ts'
import { isRefusal, type Refusal, refusals, refuse } from '../schema/refusals.ts'
import type { AnswerHead, Arrival } from './arrival.ts'
import { type Attempt, begin, type Capped, type Ending, type Prepared, prepare, settle } from './attempt.ts'
import { authenticate, checkKey } from './authenticate.ts'
import type { Breakers } from './breakers.ts'
import { type Downgraded, tierTargets } from './budgets/downgrade.ts'
import { cappedOutput, exhausted, mayAfford, strictestOf } from './budgets/shortage.ts'
import { type AdmittedRequest, isFault, type UpstreamError } from './codecs/codec.ts'
import { countersAt, countersOf, hasCounters } from './counters/book.ts'
import { guard } from './guard.ts'
import { traceIdOf, upstreamRequestId } from './headers.ts'
import { type RequestLabels, readLabels } from './labels/read.ts'
import type { LabelValues } from './labels/values.ts'
import { Admission } from './limits/admission.ts'
import { largestCeiling } from './limits/units.ts'
import { type Plan, plan, usableAliases } from './plan.ts'
import { type Judgement, judge } from './policies/judgement.ts'
import { permit } from './policies/permit.ts'
import type { BudgetCounter, Ports, Reservation, ReservationNeed, Shortage, UpstreamRequest } from './ports.ts'
import { draftRecord, recordText } from './record.ts'
import { reroute, route } from './route.ts'
import { noteFailed, noteTrying, noteWell } from './routing/health.ts'
import type { Itinerary } from './routing/itinerary.ts'
import type { Latencies } from './routing/latencies.ts'
import { paceOf } from './routing/pace.ts'
import type { Target } from './routing/target.ts'
import type { FoundKey, RunningBudget } from './snapshot/running.ts'

/** The stages up to where a request leaves. */
export type Stage = 'AUTHENTICATE' | 'PLAN' | 'GUARD' | 'ROUTE' | 'ENCODE'

/** What an adapter does next: pass on what it was given, make another attempt, or tell the client no. */
export type Verdict = 'relay' | 'retry' | 'refuse'
/** After `open`: `tell` where the gateway itself has the answer, in `told`. */
export type Opening = 'relay' | 'refuse' | 'tell'

/**
 * One request and its answer, driven by an adapter through five verbs. Expected refusals are values: after 'refuse' the
 * adapter renders `denial`. `close` comes last, exactly once, on every exit.
 */
export class Exchange {
  readonly id: string
  readonly startedAtMs: number
  readonly startedMs: number
  readonly traceId: string | null
  /** Where it is, or where it was refused before anything was sent. */
  stage: Stage = 'AUTHENTICATE'
  asked = ''
  found: FoundKey | undefined
  admitted: AdmittedRequest | undefined
  labels: RequestLabels | undefined
  plan: Plan | undefined
  /** Before its rate limits; undefined where there are none. */
  admission: Admission | undefined
  /** What policies say of this request; null without policies. */
  judgement: Judgement | null = null
  itinerary: Itinerary | undefined
  readonly attempts: Attempt[] = []
  denial: UpstreamError | undefined
  /** The gateway's own answer. */
  told: string | undefined
  outcome: Outcome = 'FAILED'
  clientLeft = false
  /** True once the client has seen a byte of the answer: from then on there is no other target. */
  released = false
  firstTokenMs: number | null = null
  closed = false
  /** Told once, when the exchange has closed. */
  onClosed: (() => void) | undefined
  /** Set where a budget sent it to another tier. */
  downgraded: Downgraded | undefined
  #upstreamMs = 0
  /** While money is waited for. */
  #waiting: AbortController | undefined
  /** Those that do not depend on the target. */
  #counters: readonly BudgetCounter[] | undefined

  constructor(
    readonly arrival: Arrival,
    readonly ports: Ports,
    readonly breakers: Breakers,
    readonly latencies: Latencies,
    readonly labelValues: LabelValues,
    /** Numbers in [0, 1). */
    readonly random: () => number = Math.random,
  ) {
    this.startedAtMs = ports.clock.now()
    this.startedMs = ports.clock.monotonic()
    this.id = mintId('request', this.startedAtMs)
    this.traceId = traceIdOf(arrival.headers)
  }

  /** authenticate → plan → guard → route. The body is read only for a key that may call. */
  async open(): Promise<Opening> {
    const nowMs = this.startedAtMs
    const found = authenticate(this.arrival, this.ports.snapshots.current())
    if (isRefusal(found)) return this.refuse(found)
    this.found = found
    const barred = checkKey(found, this.arrival, nowMs)
    if (barred) return this.refuse(barred)

    this.stage = 'PLAN'
    const text = await this.arrival.readBody()
    if (isRefusal(text)) return this.refuse(text)
    const request = this.arrival.dialect.admit(text, this.arrival.call)
    if (isRefusal(request)) return this.refuse(request)
    this.asked = recordText(request.alias, 200)

    const labels = readLabels(found, this.arrival.headers, request.body, this.labelValues, nowMs)
    if (isRefusal(labels)) return this.refuse(labels)
    this.labels = labels
    const planned = plan(found, request.alias, nowMs)
    if (isRefusal(planned)) return this.refuse(planned)
    this.plan = planned
    const limited = hasCounters(planned.limits) && (await this.askLimits(request, planned, labels))
    if (limited) return this.refuse(limited)
    this.stage = 'GUARD'
    const admitted = guard(request, planned)
    if (isRefusal(admitted)) return this.refuse(admitted)
    this.admitted = admitted
    this.stage = 'ROUTE'
    this.judgement = judge(planned, labels.exact, this.arrival.dialect, admitted)
    const permitted = permit(planned.alias, this.judgement, () => usableAliases(found, nowMs).map(({ name }) => name))
    if (isRefusal(permitted)) return this.refuse(permitted)
    this.itinerary = route(this.routed, permitted, this.seen)
    const { refusal } = this.itinerary
    if (refusal) return this.countHere(admitted, planned) ? 'tell' : this.refuse(refusal)
    return 'relay'
  }

  /** Takes what the request needs of the limits that its key and labels settle. */
  private askLimits(request: AdmittedRequest, planned: Plan, labels: RequestLabels): Promise<Refusal | undefined> {
    this.admission = new Admission(this.ports.limiter, this.found!.snapshot.tenant.id, planned.limits, labels)
    return this.admission.open(() => largestCeiling(this.arrival.dialect, request, planned.alias))
  }

  /** A count that no provider can be asked for is estimated here; it costs nothing and is no attempt. */
  private countHere(admitted: AdmittedRequest, { alias }: Plan): boolean {
    const model = alias.route.targets[0]?.model
    if (admitted.operation !== 'count' || !model) return false
    this.told = this.arrival.dialect.countHere?.(admitted, model)
    if (this.told !== undefined) this.outcome = 'COMPLETED'
    return this.told !== undefined
  }

  /**
   * Encodes one attempt from the admitted request, reserves for it, and writes the intent before anything is sent. Where money is
   * missing it is asked and waited for: `giveUp` ends that.
   */
  attempt(): UpstreamRequest | 'refuse' | Promise<UpstreamRequest | 'refuse'> {
    this.stage = 'ENCODE'
    const prepared = this.prepareNext()
    if (isRefusal(prepared)) return this.refuse(prepared)
    const reservation = this.ports.ledger.reserve(this.needOf(prepared))
    return 'short' in reservation ? this.afford(prepared) : this.admit(prepared, reservation)
  }

  /** Ends the wait for money: the client has left, or the exchange's time is over. */
  giveUp(): void {
    this.#waiting?.abort()
  }

  /** Asks the limits of the place, where there are any; one that does not admit it is passed over, while another is there. */
  private admit(prepared: Prepared, reservation: Reservation): ReturnType<Exchange['attempt']> {
    if (!this.admission?.asksAttempts(this.meters)) return this.begin(prepared, reservation)
    const { admission } = this
    return admission.attempt(prepared.target, prepared.ceiling, this.meters).then((limited) => {
      if (!isRefusal(limited) && !this.clientLeft) {
        prepared.limited = limited
        return this.begin(prepared, reservation)
      }
      this.ports.ledger.void(reservation)
      if (!isRefusal(limited)) admission.end(limited, noMeters)
      if (!isRefusal(limited) || this.clientLeft) return 'refuse'
      const why = limited.refused
      const passes = why === 'rate_limited' || why === 'concurrency_exceeded'
      return passes && this.itinerary!.passOver(why) ? this.attempt() : this.refuse(limited)
    }, this.voiding(reservation))
  }

  /** A bug met while money is held gives it back first. */
  private voiding(reservation: Reservation): (error: unknown) => never {
    return (error) => {
      this.ports.ledger.void(reservation)
      throw error
    }
  }

  private begin(prepared: Prepared, reservation: Reservation): UpstreamRequest | 'refuse' {
    const { clock, recorder } = this.ports
    const nowMs = clock.now()
    const startedMs = clock.monotonic()
    const attempt = begin(prepared, reservation, nowMs, startedMs)
    this.attempts.push(attempt)
    const unwritten = recorder.intend(draftRecord(this, nowMs, startedMs)!)
    if (unwritten) {
      this.settle(attempt, 'free')
      return this.refuse(unwritten)
    }
    attempt.target.tries++
    noteTrying(this.breakers, attempt.target)
    return attempt.request
  }

  private async afford(prepared: Prepared): Promise<UpstreamRequest | 'refuse'> {
    const waiting = new AbortController()
    this.#waiting = waiting
    const paid = await this.pay(prepared, waiting.signal)
    this.#waiting = undefined
    if (!('short' in paid)) {
      if (!waiting.signal.aborted) return this.admit(paid.prepared, paid.reservation)
      this.ports.ledger.void(paid.reservation)
    }
    if (this.clientLeft) return 'refuse'
    return this.refuse('short' in paid ? exhausted(paid, this.found!.snapshot.tenant.currency) : paidLate)
  }

  /** Asks and waits for what is missing; still short, the strictest of the short budgets says what is done instead. */
  private async pay(prepared: Prepared, signal: AbortSignal, known?: Shortage): Promise<Paid | Shortage> {
    const isHopeless = known !== undefined && !mayAfford(known, prepared)
    const reservation = isHopeless ? known : await this.ports.ledger.fund(this.needOf(prepared), signal)
    if (!('short' in reservation)) return { prepared, reservation }
    if (reservation.reason || signal.aborted) return reservation
    const budget = strictestOf(reservation)
    if (budget.action === 'CAP') return this.payCapped(prepared, reservation, budget, signal)
    if (budget.action === 'DOWNGRADE' && !this.downgraded) return this.payLess(prepared, reservation, budget, signal)
    return reservation
  }

  /** With as much output as there is money for. */
  private async payCapped(prepared: Prepared, short: Shortage, budget: RunningBudget, signal: AbortSignal) {
    const outputTokens = cappedOutput(short, prepared)
    if (outputTokens === undefined) return short
    const capped = this.prepareAt(prepared.target, { budget: budget.id, outputTokens })
    if (isRefusal(capped)) return short
    const reservation = await this.ports.ledger.fund(this.needOf(capped), signal)
    return 'short' in reservation ? reservation : { prepared: capped, reservation }
  }

  /** The exchange goes on with the models of the budget's tier, the cheapest that there is money for first; once. */
  private async payLess({ target }: Prepared, short: Shortage, budget: RunningBudget, signal: AbortSignal) {
    this.downgraded = { budget: budget.id, from: target.model }
    const targets = tierTargets(budget, this.found!.snapshot, this.judgement)
    const itinerary = reroute(this.routed, targets, this.seen, `downgraded ${budget.id} from ${target.model.id}`)
    this.itinerary = itinerary
    for (; itinerary.targets.length > 0 && !signal.aborted; itinerary.targets.shift()) {
      const cheaper = this.prepareAt(itinerary.targets[0]!)
      if (isRefusal(cheaper)) continue
      const paid = await this.pay(cheaper, signal, short)
      if (!('short' in paid)) return paid
    }
    return short
  }

  /** Looks at status and headers: relay, retry elsewhere, refuse. */
  async answer(head: AnswerHead): Promise<Verdict> {
    const { entry } = this.served!
    this.served!.scrub = head.scrub
    entry.status = head.status
    entry.upstreamRequestId = upstreamRequestId(head.headers)
    const isEncoded = !/^(identity)?$/i.test(head.headers.get('content-encoding') ?? '')
    if (head.status === 200) return isEncoded ? this.fault(encodedAnswer) : 'relay'
    const text = isEncoded ? '' : head.scrub(await head.errorText())
    return this.fault(this.served!.target.wire.readError(head.status, text), head.headers)
  }

  /** Decodes and counts one chunk; answers what the client may have of it, or 'retry' while nothing was released. */
  relay(chunk: Uint8Array): Uint8Array[] | Verdict {
    const released = this.served!.decoder.push(chunk)
    return isFault(released) ? this.fault(released) : this.release(released)
  }

  /** The upstream has ended: what was held back, to be released once `close` has made the record durable. */
  finish(): Uint8Array[] | Verdict {
    const attempt = this.served!
    const released = attempt.decoder.end()
    if (isFault(released)) return this.fault(released)
    this.outcome = this.clientLeft ? 'CANCELLED' : 'COMPLETED'
    this.endAttempt(attempt, null)
    noteWell(this.breakers, attempt.target)
    this.settle(attempt, 'charged')
    this.notePace(attempt)
    return this.release(released)
  }

  /**
   * Posts or voids what is still reserved and records the exchange. Resolves when the record is durable; a refusal means that
   * it could not be, and what was held back must not be released.
   */
  async close(): Promise<Refusal | undefined> {
    if (this.closed) throw new Error('an exchange is closed once')
    this.closed = true
    const attempt = this.served
    if (attempt && !attempt.settled) {
      this.endAttempt(attempt, null)
      noteFailed(this.breakers, attempt.target, null, this.itinerary!.route, this.ports.clock.now())
      this.settle(attempt, 'charged')
    }
    this.admission?.close(this.meters)
    const draft = draftRecord(this, this.ports.clock.now(), this.ports.clock.monotonic())
    this.onClosed?.()
    return draft && this.ports.recorder.record(draft)
  }

  /** The attempt came to nothing: another target, while attempts are left and the client has seen nothing; else a refusal. */
  fault(error: UpstreamError, headers?: Headers): Verdict {
    const attempt = this.served!
    const itinerary = this.itinerary!
    const { route } = itinerary
    if (this.clientLeft) return this.abandon(attempt, error)
    this.endAttempt(attempt, error.cause)
    this.settle(attempt, error.free ? 'free' : 'charged')
    noteFailed(this.breakers, attempt.target, error.cause, route, this.ports.clock.now())
    if (error.cause === 'TIMEOUT') this.notePace(attempt)
    const isLeft = !this.released && this.attempts.length < route.retry.attempts
    if (isLeft && error.cause !== null && itinerary.goesOn(error.cause)) return this.retry()
    this.outcome = 'FAILED'
    this.denial = {
      ...error,
      body: error.body && attempt.scrub(error.body),
      refusal: scrubbed({ ...error.refusal, ...retryAfter(error, headers) }, attempt.scrub),
    }
    return 'refuse'
  }

  /** The next attempt may need the money that this one did not use: it comes free once the journal says so. */
  private retry(): 'retry' {
    const { clock, recorder } = this.ports
    if (this.served!.counters.length > 0) recorder.intend(draftRecord(this, clock.now(), clock.monotonic())!)
    return 'retry'
  }

  /** A no of the gateway itself. */
  refuse(refusal: Refusal): 'refuse' {
    this.outcome = this.attempts.length > 0 ? 'FAILED' : 'REFUSED'
    this.denial = { refusal, cause: null, free: true }
    return 'refuse'
  }

  /**
   * The client left. Where cancelling stops the bill the upstream is cancelled; otherwise it is drained, so that the charge is
   * what the provider reports and not a guess.
   */
  leave(): 'cancel' | 'drain' {
    this.clientLeft = true
    this.outcome = 'CANCELLED'
    if (!this.served || this.served.settled) return 'cancel'
    const { provider } = this.served.target.model
    return this.admitted!.streamed || provider.selfHosted || provider.platform === 'ECHO' ? 'cancel' : 'drain'
  }

  /** Why the newest attempt went where it did, for the record: codes, figures and ids. */
  get routeReason(): string | null {
    const { itinerary, served } = this
    if (!itinerary || !served?.capped) return itinerary?.reason ?? null
    return `${itinerary.reason}; capped ${served.capped.budget} ${served.capped.outputTokens}`
  }

  /** What budgets made of the request, for the client; undefined where they changed nothing. */
  get diversion(): string | undefined {
    const { downgraded, served } = this
    if (!served || (!downgraded && !served.capped)) return undefined
    const from = downgraded && `downgraded from ${downgraded.from.name}`
    const cap = served.capped && `capped at ${served.capped.outputTokens} tokens`
    return [from, cap].filter(Boolean).join('; ')
  }

  /** The newest attempt. */
  get served(): Attempt | undefined {
    return this.attempts.at(-1)
  }

  /** What all attempts came to so far. */
  get meters(): readonly RecordMeter[] {
    return this.attempts.flatMap(({ settled }) => settled?.meters ?? [])
  }

  /** What all attempts cost so far, at 10⁻¹². */
  get cost(): bigint {
    return this.attempts.reduce((sum, { settled }) => sum + (settled?.cost ?? 0n), 0n)
  }

  /** The HTTP status that the client gets; 499, as nginx has it, where it left before it got any. */
  get status(): number {
    if (this.clientLeft && !this.released) return 499
    if (this.denial) return this.denial.status ?? refusals[this.denial.refusal.refused].status
    return this.outcome === 'FAILED' ? 500 : 200
  }

  /** How long to wait before the next attempt: not at all for a target that was not tried yet. */
  get backoffMs(): number {
    const { route, targets } = this.itinerary!
    const { tries } = targets[0]!
    return tries === 0 ? 0 : route.retry.backoffMs * 2 ** (tries - 1) * (0.5 + this.random() / 2)
  }

  /** Milliseconds spent with providers so far. */
  get upstreamMs(): number {
    return this.#upstreamMs
  }

  timing(nowMs: number): { firstTokenMs: number | null; gatewayMs: number; totalMs: number } {
    const totalMs = nowMs - this.startedMs
    return {
      firstTokenMs: this.firstTokenMs === null ? null : Math.round(this.firstTokenMs),
      gatewayMs: Math.max(0, Math.round(totalMs - this.#upstreamMs)),
      totalMs: Math.round(totalMs),
    }
  }

  private settle(attempt: Attempt, ending: Ending): void {
    if (attempt.settled) return
    settle(attempt, ending, this.ports.ledger)
    this.admission?.end(attempt.limited, attempt.settled!.meters)
  }

  /** Cut off since the client left: nothing is said of the target, and what was sent is charged. */
  private abandon(attempt: Attempt, { free }: UpstreamError): 'refuse' {
    this.endAttempt(attempt, null)
    noteFailed(this.breakers, attempt.target, null, this.itinerary!.route, this.ports.clock.now())
    this.settle(attempt, free ? 'free' : 'charged')
    return 'refuse'
  }

  private get routed() {
    const { arrival, plan, labels, admitted } = this
    return {
      ...{ plan: plan!, labels: labels!.exact, dialect: arrival.dialect, request: admitted! },
      headers: arrival.headers,
    }
  }

  private get seen() {
    const { breakers, latencies, random, startedAtMs, startedMs } = this
    return { breakers, latencies, random, nowMs: startedAtMs, monotonicMs: startedMs }
  }

  /** Every counter of a budget that an attempt at this target falls under. */
  private countersAt(target: Target): readonly BudgetCounter[] {
    const { plan, labels } = this
    const placed = countersAt(plan!.budgets, labels!, target)
    this.#counters ??= countersOf(plan!.budgets, labels!)
    return placed.length === 0 ? this.#counters : [...this.#counters, ...placed]
  }

  private needOf({ counters, cost }: Prepared): ReservationNeed {
    const { id, found, ports } = this
    return { tenant: found!.snapshot.tenant.id, counters, ceiling: cost, atMs: ports.clock.now(), exchange: id }
  }

  private prepareAt(target: Target, capped: Capped | null = null): Prepared | Refusal {
    const admitted = this.admitted!
    const trying = {
      ...{ admitted, allowLossy: this.plan!.alias.allowLossy, clientHeaders: this.arrival.headers },
      atMs: this.ports.clock.now(),
    }
    // A count costs nothing, so nothing counts it.
    return prepare(target, trying, admitted.operation === 'count' ? uncounted : this.countersAt(target), capped)
  }

  /** The next target in turn; one that cannot express the request leaves the itinerary, while another is there. */
  private prepareNext(): Prepared | Refusal {
    const itinerary = this.itinerary!
    for (;;) {
      const prepared = this.prepareAt(itinerary.targets[0]!)
      const passes = isRefusal(prepared) && prepared.refused === 'unsupported_feature'
      if (!passes || !itinerary.passOver('unsupported_feature')) return prepared
    }
  }

  /** What routes by latency go by. A timeout counts for as long as it took. */
  private notePace(attempt: Attempt): void {
    if (this.itinerary!.route.strategy !== 'LEAST_LATENCY' || this.clientLeft) return
    const { streamed } = this.admitted!
    const nowMs = this.ports.clock.monotonic()
    const tookMs = nowMs - attempt.startedMs
    const firstMs = this.firstTokenMs === null ? tookMs : this.startedMs + this.firstTokenMs - attempt.startedMs
    this.latencies.note(attempt.target.key, streamed, paceOf(attempt, streamed, firstMs, tookMs), nowMs)
  }

  private release(chunks: Uint8Array[]): Uint8Array[] {
    if (chunks.length > 0 && !this.released && !this.clientLeft) {
      this.released = true
      this.firstTokenMs = this.ports.clock.monotonic() - this.startedMs
    }
    return chunks
  }

  private endAttempt(attempt: Attempt, cause: RecordAttempt['cause']): void {
    if (attempt.settled) return
    const tookMs = this.ports.clock.monotonic() - attempt.startedMs
    this.#upstreamMs += tookMs
    attempt.entry.totalMs = Math.round(tookMs)
    attempt.entry.cause = cause
  }
}

interface Paid {
  readonly prepared: Prepared
  readonly reservation: Reservation
}

const noMeters: readonly RecordMeter[] = Object.freeze([])
const uncounted: readonly BudgetCounter[] = Object.freeze([])
const paidLate = refuse('ledger_unavailable', 'The money came when the time that the route allows was over.')

/** Nothing bounds what a compressed answer unpacks to: it is asked for plain, and taken only so. */
const encodedAnswer: UpstreamError = {
  refusal: refuse('upstream_broke_off', 'It answered compressed, though it was asked not to.'),
  cause: 'SERVER_ERROR',
  free: false,
}

function scrubbed(refusal: Refusal, scrub: (text: string) => string): Refusal {
  return refusal.detail === undefined ? refusal : { ...refusal, detail: scrub(refusal.detail) }
}

/** A provider's Retry-After, in whole seconds; past a minute the client is better told no. */
function retryAfter(error: UpstreamError, headers: Headers | undefined): Pick<Refusal, 'retryAfterS' | 'final'> {
  const { retry } = refusals[error.refusal.refused]
  const seconds = Math.ceil(Number(headers?.get('retry-after') ?? Number.NaN))
  if (!retry || !(seconds >= 0)) return {}
  return seconds <= 60 ? { retryAfterS: seconds } : { final: true }
}
