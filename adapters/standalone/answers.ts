import type { PassingDialect } from '../../data-plane/codecs/codec.ts'
import type { Exchange } from '../../data-plane/exchange.ts'
import { formatAmount } from '../../schema/money.ts'
import { type Refusal, refusals } from '../../schema/refusals.ts'
import { limitHeaders } from './limit-headers.ts'

/** A refusal outside any exchange, in the dialect's error shape. */
export function refusalAnswer(dialect: PassingDialect, refusal: Refusal, requestId?: string): Response {
  const { status } = refusals[refusal.refused]
  return new Response(dialect.renderRefusal(refusal), { status, headers: refusalHeaders(refusal, requestId) })
}

/** The refusal of an exchange: the provider's own body where it passes, else ours. */
export function denialAnswer(exchange: Exchange): Response {
  const { refusal, body } = exchange.denial!
  const headers = { ...refusalHeaders(refusal, exchange.id), ...exchangeHeaders(exchange) }
  return new Response(body ?? exchange.arrival.dialect.renderRefusal(refusal), { status: exchange.status, headers })
}

/** An estimate of the gateway's own, which says that it is one. */
export function estimateAnswer(exchange: Exchange): Response {
  const headers = { 'content-type': 'application/json', 'x-sluice-estimate': 'tokens', ...exchangeHeaders(exchange) }
  return new Response(exchange.told, { headers })
}

/** The answer to a client that is not there any more. */
export function nobodyAnswer(): Response {
  return new Response(null, { status: 499 })
}

/**
 * `x-should-retry` is what OpenAI's and Anthropic's SDKs obey before their own rules; `retry-after` is at most a minute, since
 * SDKs sleep as long as they are told.
 */
function refusalHeaders(refusal: Refusal, requestId: string | undefined): Record<string, string> {
  const { retry } = refusals[refusal.refused]
  return {
    'content-type': 'application/json',
    'x-sluice-refusal': refusal.refused,
    'x-should-retry': String(retry && !refusal.final),
    ...(refusal.retryAfterS !== undefined && { 'retry-after': String(refusal.retryAfterS) }),
    ...(requestId && { 'x-sluice-request-id': requestId }),
  }
}

/** What every answer says of its exchange. The cost is known before a plain answer goes out; a stream's is in its record. */
export function exchangeHeaders(exchange: Exchange): Record<string, string> {
  const headers: Record<string, string> = { 'x-sluice-request-id': exchange.id }
  const { served, found } = exchange
  if (found) headers['x-sluice-revision'] = String(found.snapshot.revision)
  if (served && !exchange.denial) headers['x-sluice-model'] = served.target.model.name
  const { diversion } = exchange
  if (diversion !== undefined && !exchange.denial) headers['x-sluice-route-reason'] = diversion
  if (!exchange.admitted?.streamed && !exchange.denial && served?.settled)
    headers['x-sluice-cost'] = formatAmount(exchange.cost)
  limitHeaders(exchange, headers)
  return headers
}
