import type { AnswerDecoder, Dialect, Protocol } from '../codec.ts'
import { CountDecoder, MessageDecoder } from './answer.ts'
import { messagesCeiling } from './ceilings.ts'
import { estimateTokens } from './count.ts'
import { readMessagesError, renderMessagesError, renderMessagesRefusal, renderStreamError } from './errors.ts'
import { messagesReader } from './read-answer.ts'
import { readMessagesRequest } from './read-request.ts'
import { admitMessages, type MessagesRequest, passMessages } from './request.ts'
import { MessageStreamDecoder } from './stream.ts'
import { MessageStreamWriter, MessageWholeWriter } from './write-answer.ts'
import { writeMessagesRequest } from './write-request.ts'

/** Anthropic's Messages. */
export const anthropicMessages: Dialect & Protocol = {
  name: 'ANTHROPIC_MESSAGES',
  // A credential may reach several workspaces; which of them is not the client's choice.
  forwards: ['anthropic-*', '!anthropic-workspace-id'],
  admit: admitMessages,
  ceiling: (request, model) => messagesCeiling(request as MessagesRequest, model),
  pass: (request, target) => passMessages(request as MessagesRequest, target),
  passing: (request) => passing(request as MessagesRequest),
  neutral: (request) => readMessagesRequest(request as MessagesRequest),
  writer: (request) => (request.streamed ? new MessageStreamWriter() : new MessageWholeWriter()),
  countHere: (request, model) => JSON.stringify({ input_tokens: estimateTokens(request as MessagesRequest, model) }),
  fields: {
    topK: 'top_k',
    topP: 'top_p',
    stop: 'stop_sequences',
    reasoning: 'thinking',
    reasoningNow: 'thinking',
    reasoningShown: 'thinking.display',
    signatures: 'messages.content.thinking.signature',
    parallelToolCalls: 'tool_choice.disable_parallel_tool_use',
    toolChoice: 'tool_choice',
    schema: 'output_config.format',
    strictTools: 'tools.strict',
    toolErrors: 'messages.content.is_error',
    images: 'messages.content.image',
    imageUrls: 'messages.content.image.source.url',
    files: 'messages.content.document',
    fileUrls: 'messages.content.document.source.url',
    toolResultImages: 'messages.content.tool_result.content.image',
    systemInside: 'messages.role.system',
    caching: 'cache_control',
    user: 'metadata.user_id',
  },
  encode: writeMessagesRequest,
  reader: messagesReader,
  readError: readMessagesError,
  renderRefusal: renderMessagesRefusal,
  renderError: renderMessagesError,
  renderStreamRefusal: renderStreamError,
}

function passing({ operation, streamed, body }: MessagesRequest): AnswerDecoder {
  if (operation === 'count') return new CountDecoder()
  if (!streamed) return new MessageDecoder()
  return new MessageStreamDecoder(body.thinking != null && body.thinking.type !== 'disabled')
}
