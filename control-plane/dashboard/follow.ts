import { ask, SignedOut } from './ask.ts'
import { Board, type Overview, type Tick } from './board.ts'
import type { Budgets } from './budgets.ts'
import { documents } from './documents.ts'
import { followBudgets } from './follow-budgets.ts'
import { type LiveState, live, StreamRefused } from './live.ts'
import { sseStream } from './live-sse.ts'
import { type FlightRecord, Tail } from './tail.ts'

export type Status = 'loading' | LiveState | 'paused' | 'signed-out'

export interface View {
  status: Status
  overview?: Overview
  board?: Board
  tail?: Tail
  /** Undefined also where this reader may not see them. */
  budgets?: Budgets
}

const retryMs = 3_000
const settledEveryMs = 10_000

/**
 * Keeps a view of the control plane: one snapshot, then ticks from its cursor for as long as `signal` allows. A new day starts
 * from a new snapshot. `changed` is told of every change.
 */
export async function follow(view: View, signal: AbortSignal, changed: () => void): Promise<void> {
  const set = (status: Status) => {
    view.status = status
    changed()
  }
  while (!signal.aborted) {
    try {
      if (!view.board || Date.now() >= nextDayMs(view.board.dayFromMs)) await load(view, signal)
      await run(view, signal, set)
    } catch (error) {
      if (signal.aborted) return
      if (error instanceof SignedOut || (error instanceof StreamRefused && error.code === 'UNAUTHENTICATED'))
        return set('signed-out')
      // A cursor that is no longer kept, or a server that answers no question yet: begin again from a snapshot.
      view.board = undefined
      set('reconnecting')
      await new Promise((resolve) => setTimeout(resolve, retryMs))
    }
  }
}

async function load(view: View, signal: AbortSignal): Promise<void> {
  const today = new Date()
  today.setHours(0, 0, 0, 0)
  const hourFrom = new Date(Date.now() - 3_600_000)
  const variables = { today: { from: today.toISOString() }, hour: { from: hourFrom.toISOString() } }
  const [overview, latest] = await Promise.all([
    ask<Overview>(documents.overview, variables, signal),
    ask<{ flightRecords: { nodes: FlightRecord[] } }>(documents.latest, {}, signal),
  ])
  view.overview = overview
  view.board = new Board(overview, today.getTime())
  view.tail ??= new Tail(overview.today.cursor)
  view.tail.add(latest.flightRecords.nodes)
}

/** Both streams until the day ends, one of them is refused, or `signal` fires. */
async function run(view: View, outer: AbortSignal, set: (status: Status) => void): Promise<void> {
  const { board, tail } = view
  if (!board || !tail) return
  const untilMidnight = AbortSignal.timeout(Math.max(0, nextDayMs(board.dayFromMs) - Date.now()))
  const failed = new AbortController()
  const signal = AbortSignal.any([outer, untilMidnight, failed.signal])
  const spend = async () => {
    const ticks = live(sseStream<Tick>(documents.ticks, isSignedIn), { after: board.cursor, signal, onState: set })
    for await (const tick of ticks) {
      board.apply(tick)
      set('live')
    }
  }
  const records = async () => {
    const open = sseStream<{ cursor: string; skipped: number; records: FlightRecord[] }>(documents.tail, isSignedIn)
    for await (const tick of live(open, { after: tail.cursor, signal })) {
      tail.take(tick)
      set(view.status)
    }
  }
  // By itself: where it cannot be followed, the rest of the page goes on.
  void followBudgets(view, signal, () => set(view.status))
  const settled = setInterval(() => void refreshSettled(board, signal), settledEveryMs)
  signal.addEventListener('abort', () => clearInterval(settled))
  const stopBoth = (error: unknown) => {
    failed.abort()
    throw error
  }
  await Promise.all([spend().catch(stopBoth), records().catch(stopBoth)])
}

/** Ticks say what was added, not up to when nothing more can come; that is asked now and then. */
async function refreshSettled(board: Board, signal: AbortSignal): Promise<void> {
  const window = { from: new Date(Date.now() - 60_000).toISOString() }
  const answer = await ask<{ spend: { settledThrough: string } }>(documents.settled, { window }, signal).catch(
    () => null,
  )
  if (answer) board.settledThrough = answer.spend.settledThrough
}

/** Local midnight after the day that began then; a day may have 23 or 25 hours. */
function nextDayMs(dayFromMs: number): number {
  const next = new Date(dayFromMs)
  next.setDate(next.getDate() + 1)
  return next.getTime()
}

async function isSignedIn(): Promise<boolean> {
  try {
    await ask(documents.whoami, {})
    return true
  } catch (error) {
    return !(error instanceof SignedOut)
  }
}
