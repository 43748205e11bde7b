import type { Call, Decision } from '../../control-plane/domain/ledger/decide.ts'
import { Line } from '../../control-plane/domain/ledger/line.ts'
import type { Declared, LeaseRow } from '../../control-plane/domain/ledger/rows.ts'
import { type LeaseAnswer, type LeaseCall, recallMsMax } from '../../schema/link-lease.ts'
import { formatAmount, parseAmount } from '../../schema/money.ts'
import type { Downward, Upward } from './messages.ts'
import { proofOf, type Store, tenant } from './store.ts'
import type { Timeline } from './timeline.ts'

export interface Session {
  instance: string
  epoch: number
  send(message: Downward): void
  close(): void
}

/** A call that wants money, as `control-plane/domain/ledger/desk.ts` holds it: it is tried when nobody stands in front. */
interface Turn {
  session: Session
  call: LeaseCall
  untilMs: number
  /** False where too many wait already. */
  mayWait: boolean
  /** When others were last asked for their money; undefined = never. */
  askedAtMs: number | undefined
  /** Its last look was put off once, since nobody had been asked for its sake. */
  isExtended: boolean
}

/** Several replicas on one store hear of each other what changed: `tellAll` gets it to each, this one too. */
export interface Neighbours {
  freed(): void
  recall(instance: string, asks: { budget: string; subject: string | null; amount: bigint; forMs: number }[]): void
}

/** One control plane process: links, who waits for money, and answers. What it knows beyond its store is gone when it ends. */
export class Control {
  readonly sessions = new Map<string, Session>()
  readonly #line = new Line<Turn>()
  readonly #turns = new Set<Turn>()
  /** Links of a process that ended: what was on its way to it is heard by nobody. */
  readonly #gone = new WeakSet<Session>()
  #life = 0

  constructor(
    readonly timeline: Timeline,
    readonly store: Store,
    readonly nowMs: () => number,
    readonly neighbours: Neighbours,
    /** True where the process ended here: before or after its transaction was committed. */
    readonly point: (place: 'before' | 'after') => boolean,
  ) {}

  /** The process ends: links break, nobody is answered. */
  end(): void {
    this.#life++
    for (const session of this.sessions.values()) {
      this.#gone.add(session)
      session.close()
    }
    this.sessions.clear()
    for (const turn of this.#turns) this.#line.leave(turn)
    this.#turns.clear()
  }

  opened(session: Session): void {
    this.sessions.get(session.instance)?.close()
    this.sessions.set(session.instance, session)
  }

  closed(session: Session): void {
    if (this.sessions.get(session.instance) === session) this.sessions.delete(session.instance)
  }

  receive(session: Session, message: Upward): void {
    if (this.#gone.has(session)) return
    if (message.type === 'heartbeat') session.send({ type: 'heartbeatAck', serverTimeMs: this.nowMs() })
    else if (message.type === 'records') this.#records(session, message)
    else this.#call(session, message)
  }

  #records(session: Session, { epoch, from, records }: Extract<Upward, { type: 'records' }>): void {
    if (this.point('before')) return
    const next = this.store.accept(session.instance, epoch, from, records, this.nowMs())
    if (this.point('after')) return
    if (next !== undefined) session.send({ type: 'recordsAck', epoch, next })
  }

  #call(session: Session, call: LeaseCall): void {
    const wants = call.wants.filter(({ missing }) => missing !== '0')
    const lines = [...new Set(wants.map(({ budget, subject }) => `${budget} ${subject ?? ''}`))]
    if (lines.length === 0) {
      const decision = this.#decide(session, call)
      if (decision) this.#finish(session, call, decision)
      return
    }
    const untilMs = this.timeline.nowMs + recallMsMax + call.waitMs
    const turn: Turn = { session, call, untilMs, mayWait: false, askedAtMs: undefined, isExtended: false }
    turn.mayWait = this.#line.join(turn, lines)
    this.#turns.add(turn)
    // What is reported is taken at once, whoever waits.
    if (turn.mayWait && !this.#line.isFirst(turn)) this.#decide(session, { ...call, wants: [] })
    this.#look(turn)
    if (this.#turns.has(turn)) this.#later(untilMs - this.timeline.nowMs, () => this.#look(turn))
  }

  /** Tries where nobody is in front; the last try, when the time is over, does not ask who is. */
  #look(turn: Turn): void {
    if (!this.#turns.has(turn)) return
    const { session, call, untilMs, mayWait } = turn
    const isOver = !mayWait || this.timeline.nowMs >= untilMs
    if (!isOver && !this.#line.isFirst(turn)) return
    const decision = this.#decide(session, call)
    if (!decision) return
    if ('refused' in decision && decision.refused === 'SHORT' && this.#waitsOn(turn, decision, isOver)) return
    this.#turns.delete(turn)
    this.#line.leave(turn)
    this.#finish(session, call, decision)
    this.freed()
  }

  /**
   * Whether a call that is short goes on waiting. That there is not enough is said only after others were asked, no longer ago
   * than they take to answer.
   */
  #waitsOn(turn: Turn, decision: Decision, isOver: boolean): boolean {
    const nowMs = this.timeline.nowMs
    const { askedAtMs = Number.NEGATIVE_INFINITY, isExtended, mayWait, call } = turn
    if (!mayWait) return false
    if (decision.recalls.length === 0 && (isOver || call.waitMs === 0)) return false
    if (isOver) {
      if (isExtended || askedAtMs > nowMs - 2 * recallMsMax) return false
      turn.isExtended = true
      turn.untilMs = nowMs + recallMsMax
      this.#later(recallMsMax, () => this.#look(turn))
    }
    turn.askedAtMs = nowMs
    this.#askBack(decision, turn.untilMs - nowMs)
    return true
  }

  #askBack({ recalls }: Decision, forMs: number): void {
    for (const [instance, some] of Map.groupBy(recalls, (recall) => recall.instance)) {
      const asks = some.map(({ budget, subject, amount }) => ({ budget, subject: subject || null, amount, forMs }))
      this.neighbours.recall(instance, asks)
    }
  }

  #finish(session: Session, call: LeaseCall, decision: Decision | { fault: string }): void {
    if ('refused' in decision) this.#answer(session, call, decision)
    else {
      this.faults.push(decision.fault)
      if (process.env.SLUICE_SIM_TRACE) console.log('FAULT', session.instance, decision.fault, JSON.stringify(call))
      this.closed(session)
      session.close()
    }
  }
  /** Sentences of those whose link was ended: planes that run as they should never hear one. */
  readonly faults: string[] = []

  /** Undefined where the process ended over it. */
  #decide(session: Session, call: LeaseCall): Decision | { fault: string } | undefined {
    if (this.point('before')) return undefined
    const decision = this.store.call(readCall(session, call), call.whole, this.nowMs())
    if (this.point('after')) return undefined
    if ('refused' in decision && decision.restored) this.#askAllAnew()
    if ('refused' in decision && decision.freed) this.neighbours.freed()
    return decision
  }

  /** Everybody's link is opened anew, and so everybody reports. */
  #askAllAnew(): void {
    for (const session of [...this.sessions.values()]) session.send({ type: 'goodbye' })
  }

  #answer(session: Session, { call, whole }: LeaseCall, { leases, refused, short }: Decision): void {
    const rows = whole ? this.store.unsettledOf(session.instance, leases) : leases
    const answer: LeaseAnswer = {
      ...{ type: 'leaseAnswer', call, tenant, refused },
      leases: rows.map((row) => this.#tellLease(row)),
      short: short.map(({ budget, subject, from, to, missing, available }) => ({
        ...{ budget, subject: subject || null, window: { from, to } },
        ...{ missing: formatAmount(missing), available: formatAmount(available) },
      })),
    }
    session.send(answer)
  }

  #tellLease(row: LeaseRow): LeaseAnswer['leases'][number] {
    const { budget, subject, from, to, epoch, granted, returned, posted } = row
    return {
      ...{ budget, subject: subject || null, window: { from, to }, epoch, notBefore: from },
      ...{ mac: proofOf(row, granted), granted: formatAmount(granted) },
      ...{ returned: formatAmount(returned), posted: formatAmount(posted) },
    }
  }

  /** Money may have come free: those who wait look again. */
  freed(): void {
    if (this.#turns.size === 0) return
    this.#later(0, () => {
      for (const turn of [...this.#turns]) this.#look(turn)
    })
  }

  #later(ms: number, act: () => void): void {
    const life = this.#life
    this.timeline.after(ms, () => {
      if (life === this.#life) act()
    })
  }
}

function readCall({ instance, epoch }: Session, { leases, wants }: LeaseCall): Call {
  return {
    ...{ instance, epoch },
    leases: leases.map(({ budget, subject, window, epoch: ofEpoch, granted, returned, mac }) => ({
      ...{ budget, subject: subject ?? '', ...window, epoch: ofEpoch, mac },
      ...{ granted: parseAmount(granted)!, returned: parseAmount(returned)! },
    })),
    wants: wants.map(({ budget, subject, missing, perSecond, next }) => ({
      ...{ budget, subject: subject ?? '', next },
      ...{ missing: parseAmount(missing)!, perSecond: parseAmount(perSecond)! },
    })),
  }
}

export type { Declared }
