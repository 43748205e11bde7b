/**
 * The one table of expected refusals. A refusal is a value; an exception is a bug. `status` is what the caller's HTTP
 * answer carries; `retry` is told to SDKs as `x-should-retry`; `fixedBy` says who can do something about it.
 */
export interface RefusalRow {
  class: 'caller' | 'identity' | 'policy' | 'limit' | 'upstream' | 'gateway'
  status: number
  retry: boolean
  fixedBy: 'caller' | 'admin' | 'operator' | 'provider' | 'sluice'
  sentence: string
}

const row = (
  kind: RefusalRow['class'],
  status: number,
  retry: boolean,
  fixedBy: RefusalRow['fixedBy'],
  sentence: string,
): RefusalRow => ({ class: kind, status, retry, fixedBy, sentence })

export const refusals = {
  malformed_request: row('caller', 400, false, 'caller', 'The request could not be read.'),
  unsupported_feature: row(
    'caller',
    422,
    false,
    'caller',
    'The request asks for something that cannot be served here.',
  ),
  unknown_alias: row(
    'caller',
    404,
    false,
    'caller',
    'There is no such model for this key. GET /v1/models lists those it may use.',
  ),
  alias_retired: row('caller', 410, false, 'caller', 'This model name was retired.'),
  unknown_endpoint: row('caller', 404, false, 'caller', 'This gateway has no such endpoint.'),
  too_large: row('caller', 413, false, 'caller', 'The request body is larger than this gateway takes.'),
  unauthenticated: row('identity', 401, false, 'caller', 'No valid application key was sent.'),
  key_expired: row('identity', 401, false, 'caller', 'This application key has expired. Ask for a new one.'),
  key_revoked: row('identity', 401, false, 'caller', 'This application key was revoked.'),
  not_permitted: row('identity', 403, false, 'admin', 'This application key may not do that.'),
  model_not_allowed: row('policy', 403, false, 'admin', 'A policy does not allow this model for this request.'),
  region_not_allowed: row('policy', 403, false, 'admin', 'A policy does not allow the regions where this model runs.'),
  request_not_allowed: row('policy', 403, false, 'caller', 'The request is not allowed as it is.'),
  policy_unavailable: row(
    'gateway',
    503,
    true,
    'operator',
    'A policy that applies to this request cannot be evaluated here.',
  ),
  rate_limited: row('limit', 429, true, 'admin', 'A rate limit does not admit this request now.'),
  concurrency_exceeded: row('limit', 429, true, 'admin', 'As many requests are under way as a limit admits.'),
  budget_exhausted: row(
    'limit',
    402,
    false,
    'admin',
    'There is not enough money left in a budget for what this request may cost.',
  ),
  ledger_unavailable: row(
    'gateway',
    503,
    true,
    'operator',
    'What is left in a budget cannot be asked for now, and this gateway holds no money for the request.',
  ),
  upstream_rejected: row('upstream', 400, false, 'caller', 'The provider refused the request.'),
  upstream_auth_failed: row('upstream', 502, false, 'admin', "The provider did not accept the gateway's credential."),
  upstream_rate_limited: row('upstream', 429, true, 'provider', 'The provider is limiting requests.'),
  upstream_overloaded: row('upstream', 503, true, 'provider', 'The provider is overloaded or failing.'),
  upstream_timeout: row('upstream', 504, true, 'provider', 'The provider did not answer in time.'),
  upstream_broke_off: row('upstream', 502, true, 'provider', "The provider's answer broke off."),
  no_target_left: row('upstream', 503, true, 'admin', 'No provider for this model can be used right now.'),
  gateway_overloaded: row('gateway', 503, true, 'operator', 'The gateway is at its limit of requests under way.'),
  snapshot_missing: row('gateway', 503, true, 'operator', 'The gateway has no configuration yet.'),
  snapshot_expired: row(
    'gateway',
    503,
    true,
    'operator',
    'The gateway has not heard from its control plane for too long.',
  ),
  recorder_unavailable: row('gateway', 503, true, 'operator', 'The request cannot be recorded, so it is not answered.'),
  price_unknown: row('gateway', 403, false, 'admin', 'This model has no price, so requests to it are refused.'),
  invariant_broken: row(
    'gateway',
    500,
    false,
    'sluice',
    'The gateway met a fault of its own and stopped this request.',
  ),
} as const satisfies Record<string, RefusalRow>

export type RefusalCode = keyof typeof refusals

/**
 * An expected no. `detail` is a public sentence about this case (what is wrong, where, the way out); it never holds
 * secrets, content or addresses. `param` names the request's field; `retryAfterS` is at most 60.
 */
export interface Refusal {
  refused: RefusalCode
  detail?: string
  param?: string
  retryAfterS?: number
  /** Set where the table would have it retried, but not within a minute: SDKs are told that it is in vain. */
  final?: true
}

/** Makes a refusal; the class and status come from the table. */
export function refuse(code: RefusalCode, detail?: string, param?: string): Refusal {
  return { refused: code, ...(detail && { detail }), ...(param && { param }) }
}

/** Tells a refusal from any other value. */
export function isRefusal(value: unknown): value is Refusal {
  return typeof value === 'object' && value !== null && 'refused' in value
}

/** The sentence shown to the caller: the table's, then what is particular to this case. */
export function refusalMessage(refusal: Refusal): string {
  const { sentence } = refusals[refusal.refused]
  return refusal.detail ? `${sentence} ${refusal.detail}` : sentence
}
