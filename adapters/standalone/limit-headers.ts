import type { Exchange } from '../../data-plane/exchange.ts'
import { countsTokens, type LimitStanding } from '../../data-plane/limits/limiter.ts'

/**
 * What is left of the tightest limits, as the clients of each vendor read it: OpenAI's `x-ratelimit-limit-requests` and its kin
 * (guide "Rate limits", with a reset such as `6m0s`), Anthropic's `anthropic-ratelimit-requests-limit` and its kin ("Response
 * headers", with a reset as an RFC 3339 instant). Nothing where no limit over time applies.
 */
export function limitHeaders({ admission, arrival, ports }: Exchange, headers: Record<string, string>): void {
  if (!admission) return
  const over = [...admission.standings.values()].filter(({ counter: { of } }) => of.rate !== null && of.isEnforced)
  if (over.length === 0) return
  if (arrival.dialect.name === 'ANTHROPIC_MESSAGES') tellAnthropic(over, ports.clock.now(), headers)
  else tellOpenAis(over, headers)
}

function tellOpenAis(over: readonly LimitStanding[], headers: Record<string, string>): void {
  const requests = tightest(over.filter(isOf('REQUESTS')))
  const tokens = tightest(over.filter(({ counter: { of } }) => countsTokens(of)))
  if (requests) tellOpenAi(requests, 'requests', headers)
  if (tokens) tellOpenAi(tokens, 'tokens', headers)
}

const isOf =
  (unit: LimitStanding['counter']['of']['unit']) =>
  ({ counter: { of } }: LimitStanding) =>
    of.unit === unit

/** The one that has the least left. */
function tightest(standings: readonly LimitStanding[]): LimitStanding | undefined {
  return standings.reduce<LimitStanding | undefined>(
    (least, one) => (least && least.left <= one.left ? least : one),
    undefined,
  )
}

/** A bucket may hold a little more than the limit; who reads this takes the limit for the most there can be. */
const leftOf = ({ left, counter: { of } }: LimitStanding) => String(Math.min(left, of.limit))

function tellOpenAi(standing: LimitStanding, what: 'requests' | 'tokens', headers: Record<string, string>): void {
  headers[`x-ratelimit-limit-${what}`] = String(standing.counter.of.limit)
  headers[`x-ratelimit-remaining-${what}`] = leftOf(standing)
  headers[`x-ratelimit-reset-${what}`] = shortDuration(standing.fullMs)
}

const anthropicUnits = [
  ['REQUESTS', 'requests'],
  ['TOKENS', 'tokens'],
  ['INPUT_TOKENS', 'input-tokens'],
  ['OUTPUT_TOKENS', 'output-tokens'],
] as const

function tellAnthropic(over: readonly LimitStanding[], nowMs: number, headers: Record<string, string>): void {
  for (const [unit, what] of anthropicUnits) {
    const standing = tightest(over.filter(isOf(unit)))
    if (!standing) continue
    headers[`anthropic-ratelimit-${what}-limit`] = String(standing.counter.of.limit)
    headers[`anthropic-ratelimit-${what}-remaining`] = leftOf(standing)
    headers[`anthropic-ratelimit-${what}-reset`] = `${new Date(nowMs + standing.fullMs).toISOString().slice(0, 19)}Z`
  }
}

/** `20ms`, `1.5s`, `6m0s`, `1h0m5s`. */
export function shortDuration(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`
  const seconds = Math.ceil(ms) / 1_000
  if (seconds < 60) return `${seconds}s`
  const whole = Math.ceil(seconds)
  const minutes = `${Math.floor((whole % 3_600) / 60)}m${whole % 60}s`
  return whole < 3_600 ? minutes : `${Math.floor(whole / 3_600)}h${minutes}`
}
