import type { Failure } from '../scenes.ts'
import type { Wrong } from './vendor.ts'

const kinds: Record<number, [type: string, code: string | null]> = {
  400: ['invalid_request_error', null],
  401: ['invalid_request_error', 'invalid_api_key'],
  402: ['insufficient_quota', 'insufficient_quota'],
  429: ['requests', 'rate_limit_exceeded'],
  503: ['server_error', 'server_overloaded'],
  529: ['server_error', 'server_overloaded'],
}

/** OpenAI API reference, "Error codes". */
export function openaiError({ status, message }: Failure): object {
  const [type, code] = kinds[status] ?? ['server_error', null]
  return { error: { message, type, param: null, code } }
}

export function openaiErrorHeaders({ retryAfterS }: Failure): Record<string, string> {
  return retryAfterS === undefined ? {} : { 'retry-after': String(retryAfterS) }
}

/** Path and bearer token as OpenAI wants them. */
export function bearer(request: Request, key: string, path: string): Wrong | undefined {
  const { pathname, search } = new URL(request.url)
  if (pathname !== path || search !== '') return { status: 404, message: `Unknown request URL: ${pathname}${search}` }
  if (request.headers.get('authorization') !== `Bearer ${key}`) return { status: 401, message: 'Incorrect API key' }
  for (const foreign of ['x-api-key', 'api-key', 'x-goog-api-key'])
    if (request.headers.has(foreign)) return { status: 400, message: `a header ${foreign} came through` }
  return undefined
}
