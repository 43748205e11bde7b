import type { PassingDialect } from '../codec.ts'
import { ChatAnswerDecoder } from '../openai-chat/answer.ts'
import { openaiChat } from '../openai-chat/index.ts'
import { ChatStreamDecoder } from '../openai-chat/stream.ts'
import { completionCeiling } from './ceilings.ts'
import { admitCompletion, type CompletionRequest, passCompletion } from './request.ts'

/** OpenAI's completions of texts, for servers that still have them. */
export const openaiCompletions: PassingDialect = {
  name: 'OPENAI_COMPLETIONS',
  forwards: [],
  admit: admitCompletion,
  ceiling: (request, model) => completionCeiling(request as CompletionRequest, model),
  pass: (request, target) => passCompletion(request as CompletionRequest, target),
  passing: (request, thinks) =>
    request.streamed
      ? new ChatStreamDecoder((request as CompletionRequest).showsUsage, thinks)
      : new ChatAnswerDecoder(),
  readError: openaiChat.readError,
  renderRefusal: openaiChat.renderRefusal,
  renderStreamRefusal: openaiChat.renderStreamRefusal,
}
