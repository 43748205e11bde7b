import type { Exchange } from '../../data-plane/exchange.ts'

/** Where the gateway writes what happens. `fields` are ids, codes and counts; never content, addresses or secrets. */
export type GatewayLog = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, string | number | null>,
) => void

/** One line for each exchange, at debug: the record says more, and is what counts. */
export function logClosed(exchange: Exchange, totalMs: number, log: GatewayLog): void {
  log('debug', 'an exchange closed', {
    requestId: exchange.id,
    traceId: exchange.traceId,
    tenant: exchange.found?.snapshot.tenant.id ?? null,
    apiKey: exchange.found?.apiKey ?? null,
    outcome: exchange.outcome,
    status: exchange.status,
    refusal: exchange.denial?.refusal.refused ?? null,
    attempts: exchange.attempts.length,
    totalMs: Math.round(totalMs),
  })
}
