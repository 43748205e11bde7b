import type { RunningModel } from '../../snapshot/running.ts'
import { firstUnbounded, openaiTier, utf8Bytes } from '../ceiling-parts.ts'
import type { TokenCeiling } from '../codec.ts'
import { type CompletionRequest, promptsOf } from './request.ts'

/**
 * Upper bounds of a completion of texts (OpenAI API reference, "Completions").
 *
 * | field | bound |
 * |---|---|
 * | `prompt`, `suffix` | bytes, and a declared overhead for each prompt; a list of token ids is shorter than its text |
 * | `max_tokens` | as sent |
 * | `n`, `best_of` | the larger multiplies the output: answers that are not told are billed |
 * | several prompts | multiply the output |
 * | `echo` | is no output that is made |
 * | `service_tier` | as chats have it |
 * | `prompt_embeds` | unbounded: what it comes to is not seen |
 */
export function completionCeiling({ body }: CompletionRequest, model: RunningModel): TokenCeiling {
  const most = model.maxOutputTokens ?? model.contextTokens
  const limit: number | null = body.max_tokens ?? model.defaultOutputTokens ?? most
  const prompts = promptsOf(body.prompt)
  const answers = Math.max(body.n ?? 1, body.best_of ?? 1) * prompts
  return {
    inputTokens:
      utf8Bytes(JSON.stringify(body.prompt)) + utf8Bytes(body.suffix ?? '') + prompts * model.bounds.tokensPerMessage,
    outputTokens: limit === null ? null : Math.min(limit, most ?? limit) * answers,
    answers,
    unbounded: firstUnbounded(body, unbounded),
    serviceTier: openaiTier(body),
  }
}

const unbounded = { prompt_embeds: 'holds something whose size is not seen here' }
