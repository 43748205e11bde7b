import type { Dialect, Protocol } from '../codec.ts'
import { ChatAnswerDecoder } from './answer.ts'
import { chatCeiling } from './ceilings.ts'
import { readChatError, renderChatError, renderChatRefusal } from './errors.ts'
import { chatReader } from './read-answer.ts'
import { readChatRequest } from './read-request.ts'
import { admitChat, type ChatRequest, encodeChat } from './request.ts'
import { ChatStreamDecoder } from './stream.ts'
import { ChatChunkWriter, ChatCompletionWriter } from './write-answer.ts'
import { writeChatRequest } from './write-request.ts'

/** OpenAI's chat completions. */
export const openaiChat: Dialect & Protocol = {
  name: 'OPENAI_CHAT',
  forwards: [],
  admit: admitChat,
  ceiling: (request, model) => chatCeiling(request as ChatRequest, model),
  pass: (request, target) => encodeChat(request as ChatRequest, target),
  passing: (request, thinks) =>
    request.streamed ? new ChatStreamDecoder((request as ChatRequest).showsUsage, thinks) : new ChatAnswerDecoder(),
  neutral: (request) => readChatRequest(request as ChatRequest),
  writer: (request) =>
    request.streamed ? new ChatChunkWriter((request as ChatRequest).showsUsage) : new ChatCompletionWriter(),
  fields: {
    topK: 'top_k',
    topP: 'top_p',
    presencePenalty: 'presence_penalty',
    frequencyPenalty: 'frequency_penalty',
    choices: 'n',
    reasoning: 'reasoning_effort',
    reasoningNow: 'reasoning_effort',
    parallelToolCalls: 'parallel_tool_calls',
    toolChoice: 'tool_choice',
    json: 'response_format',
    schema: 'response_format',
    images: 'messages.content.image_url',
    imageUrls: 'messages.content.image_url',
    files: 'messages.content.file',
    audio: 'messages.content.input_audio',
  },
  encode: writeChatRequest,
  reader: chatReader,
  readError: readChatError,
  renderRefusal: renderChatRefusal,
  renderError: renderChatError,
  renderStreamRefusal: (refusal, told) => `data: ${(told ?? renderChatRefusal(refusal)).replace(/\s*\n\s*/g, ' ')}\n\n`,
}
