import { type Refusal, refusalMessage } from '../../../schema/refusals.ts'
import type { UpstreamError } from '../codec.ts'
import { entryOf, type Json } from '../json.ts'
import { readChatError, readToldError, renderChatError, renderChatRefusal } from '../openai-chat/errors.ts'

/** Errors before the answer are those of every OpenAI endpoint. */
export const readResponsesError = readChatError
export const renderResponsesRefusal = renderChatRefusal
export const renderResponsesError = renderChatError

/** Codes of a failed response that say what a status would. */
const statuses: Record<string, number> = { rate_limit_exceeded: 429, server_error: 500, invalid_prompt: 400 }

/** A response that failed, or an `error` event; `text` is what told it. */
export function readFailed(error: Json | null | undefined, text: string): UpstreamError {
  const { code, message, type } = error ?? {}
  return readToldError({ error: { message, type, code: entryOf(statuses, code) ?? code } }, text)
}

/** A refusal within a stream: the provider's own event where it told one, else an `error` event of ours. */
export function renderResponsesStreamRefusal(refusal: Refusal, told?: string): string {
  if (told?.startsWith('{"type":"')) {
    const name = told.slice(9, told.indexOf('"', 9))
    return `event: ${name}\ndata: ${told}\n\n`
  }
  const event = {
    type: 'error',
    code: refusal.refused,
    message: refusalMessage(refusal),
    param: refusal.param ?? null,
    sequence_number: 0,
  }
  return `event: error\ndata: ${JSON.stringify(event)}\n\n`
}
