import { errorCodes, type RequestErrorCode } from '../graphql/errors.ts'
import type { NoCaller } from './caller.ts'

/** An answer of the first channel to a request that never came so far as GraphQL. */
export function refused(
  code: RequestErrorCode,
  requestId: string,
  message: string = errorCodes[code].message,
): Response {
  const { status, retryable } = errorCodes[code]
  const body = { errors: [{ message, extensions: { code, requestId, retryable } }] }
  return Response.json(body, { status, headers: { 'x-sluice-request-id': requestId } })
}

/** The same for who is no caller. */
export const refusedCaller = ({ extensions, message }: NoCaller, requestId: string) =>
  refused(extensions.code as RequestErrorCode, requestId, message)
