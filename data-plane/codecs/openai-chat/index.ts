import type { Codec } from '../codec.ts'
import { ChatAnswerDecoder } from './answer.ts'
import { chatCeiling } from './ceilings.ts'
import { readChatError, renderChatRefusal } from './errors.ts'
import { admitChat, type ChatRequest, encodeChat } from './request.ts'
import { ChatStreamDecoder } from './stream.ts'

/** OpenAI's chat completions, passed through byte for byte where client and provider both speak it. */
export const openaiChat: Codec = {
  name: 'OPENAI_CHAT',
  admit: admitChat,
  ceiling: (request, model) => chatCeiling(request as ChatRequest, model),
  encode: (request, target) => encodeChat(request as ChatRequest, target),
  decoder: (request) =>
    request.streamed ? new ChatStreamDecoder((request as ChatRequest).showsUsage) : new ChatAnswerDecoder(),
  readError: readChatError,
  renderRefusal: renderChatRefusal,
  renderStreamRefusal: (refusal, told) => `data: ${(told ?? renderChatRefusal(refusal)).replace(/\s*\n\s*/g, ' ')}\n\n`,
}
