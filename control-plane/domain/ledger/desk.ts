import { type LeaseAnswer, type LeaseCall, recallMsMax } from '../../../schema/link-lease.ts'
import type { Context } from '../context.ts'
import type { LinkName } from '../plane-links.ts'
import { answerOf, lineOf, linesOf, readCall, type Tried, type Trying, tryCall } from './call.ts'
import type { Call } from './decide.ts'
import { Line } from './line.ts'

/** One call asks the others again at most so often. */
const askAgainMs = 20

/** Where lease calls are answered: at once, or when money has come free and nobody stands in front. */
export interface LeaseDesk {
  call(link: LinkName, message: LeaseCall): Promise<LeaseAnswer | { fault: string }>
  /** Answers who still waits, and stops listening. */
  close(): Promise<void>
}

/** One per control plane. Who came first is served first among those that this one holds the links of. */
export function openDesk(ctx: Context): LeaseDesk {
  const waiting = new Line<Turn>()
  const turns = new Set<Turn>()
  const wake = (tenant: string) => {
    for (const turn of turns) if (tenant === '' || turn.tenant === tenant) turn.wake()
  }
  let listening: Promise<(() => Promise<void>)[]> | undefined
  const listen = () => {
    listening ??= Promise.all([ctx.db.listen('funds', wake), ctx.db.listen('config', wake)])
    // Without it a call that waits is tried again at its end alone.
    listening.catch(() => undefined)
  }
  return {
    async call(link, message) {
      if (!isStorable(message)) return { fault: 'It named a counter by what is no text.' }
      listen()
      const call = readCall(link, message)
      const lines = linesOf(message.tenant, call)
      const turn = new Turn(message.tenant)
      const others = othersThan(turn, waiting)
      if (lines.length === 0)
        return answered(ctx, message, await attempt(ctx, message, call, { recallMs: null, ...others }))
      const mayWait = waiting.join(turn, lines)
      turns.add(turn)
      try {
        return answered(
          ctx,
          message,
          await takeTurn(ctx, message, call, turn, { line: mayWait ? waiting : undefined, ...others }),
        )
      } finally {
        turns.delete(turn)
        waiting.leave(turn)
        // Whoever stood behind may be first now.
        wake(message.tenant)
      }
    },
    async close() {
      for (const turn of turns) turn.end()
      for (const unlisten of (await listening?.catch(() => undefined)) ?? []) await unlisten()
    },
  }
}

/** PostgreSQL knows neither NUL nor half a character. */
const isStorable = ({ leases, wants }: LeaseCall) =>
  [...leases, ...wants].every(({ budget, subject }) => {
    const name = budget + (subject ?? '')
    return name.isWellFormed() && !name.includes('\0')
  })

/** Whether somebody else waits under a counter of the turn's tenant. */
const othersThan = (turn: Turn, waiting: Line<Turn>): Pick<Trying, 'isWaitedFor'> => ({
  isWaitedFor: (budget, subject) => waiting.isWaitedFor(lineOf(turn.tenant, budget, subject), turn),
})

const attempt = (ctx: Context, { tenant, whole }: LeaseCall, call: Call, how: Omit<Trying, 'whole'>) =>
  tryCall(ctx, tenant, call, { whole, ...how })

function answered(ctx: Context, message: LeaseCall, tried: Tried): LeaseAnswer | { fault: string } {
  return 'fault' in tried ? tried : answerOf(ctx, message, tried)
}

/**
 * Tries whenever something changed and nobody is in front; the last try, when the time is over, does not ask who is. That there
 * is not enough is said only where the others were asked for their money, with this call's sums, no longer ago than they take
 * to give it: what came of an earlier asking may have gone to somebody else.
 */
async function takeTurn(
  ctx: Context,
  message: LeaseCall,
  call: Call,
  turn: Turn,
  { line, isWaitedFor }: { line: Line<Turn> | undefined } & Pick<Trying, 'isWaitedFor'>,
): Promise<Tried> {
  let untilMs = performance.now() + recallMsMax + message.waitMs
  let askedMs = Number.NEGATIVE_INFINITY
  let isExtended = false
  // What is reported is taken at once, whoever waits.
  if (line && !line.isFirst(turn)) await attempt(ctx, { ...message }, { ...call, wants: [] }, { recallMs: null })
  for (;;) {
    const nowMs = performance.now()
    const isLast = turn.isOver || !line || nowMs >= untilMs
    if (isLast || line.isFirst(turn)) {
      turn.listen()
      const mayExtend = isLast && line && !turn.isOver && !isExtended && askedMs < nowMs - 2 * recallMsMax
      const asks = mayExtend || (!isLast && askedMs < nowMs - askAgainMs)
      const forMs = isLast ? recallMsMax : untilMs - nowMs
      const tried = await attempt(ctx, message, call, { recallMs: asks ? Math.ceil(forMs) : null, isWaitedFor })
      if ('fault' in tried || tried.refused !== 'SHORT') return tried
      if (tried.short.some(({ missing, reachable }) => missing > reachable)) return tried
      const isNobody = tried.recalls.length === 0
      if (isLast && (!mayExtend || isNobody)) return tried
      if (isNobody && message.waitMs === 0) return tried
      if (mayExtend) {
        isExtended = true
        untilMs = nowMs + recallMsMax
      }
      if (asks) askedMs = nowMs
    }
    await turn.waited(untilMs - performance.now())
  }
}

/** One call's wait. A wake-up between two looks is not lost. */
class Turn {
  readonly tenant: string
  isOver = false
  #woken = false
  #resolve: (() => void) | undefined

  constructor(tenant: string) {
    this.tenant = tenant
  }

  wake(): void {
    this.#woken = true
    this.#resolve?.()
  }

  end(): void {
    this.isOver = true
    this.wake()
  }

  /** From now on a wake-up counts for the next wait. */
  listen(): void {
    this.#woken = false
  }

  async waited(forMs: number): Promise<void> {
    if (this.#woken || forMs <= 0) {
      this.#woken = false
      return
    }
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, forMs)
    this.#resolve = resolve
    await promise
    clearTimeout(timer)
    this.#woken = false
  }
}
