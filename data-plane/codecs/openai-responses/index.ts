import type { Dialect, Protocol } from '../codec.ts'
import { ResponsesAnswerDecoder } from './answer.ts'
import { responsesCeiling } from './ceilings.ts'
import {
  readResponsesError,
  renderResponsesError,
  renderResponsesRefusal,
  renderResponsesStreamRefusal,
} from './errors.ts'
import { responsesReader } from './read-answer.ts'
import { readResponsesRequest } from './read-request.ts'
import { admitResponses, passResponses, type ResponsesRequest } from './request.ts'
import { ResponsesStreamDecoder } from './stream.ts'
import { ResponsesEventWriter, ResponseWriter } from './write-answer.ts'
import { writeResponsesRequest } from './write-request.ts'

/** OpenAI's responses, without what OpenAI stores. */
export const openaiResponses: Dialect & Protocol = {
  name: 'OPENAI_RESPONSES',
  forwards: [],
  admit: admitResponses,
  ceiling: (request, model) => responsesCeiling(request as ResponsesRequest, model),
  pass: (request, target) => passResponses(request as ResponsesRequest, target),
  passing: (request) => (request.streamed ? new ResponsesStreamDecoder() : new ResponsesAnswerDecoder()),
  neutral: (request) => readResponsesRequest(request as ResponsesRequest),
  writer: (request) =>
    request.streamed
      ? new ResponsesEventWriter(request as ResponsesRequest)
      : new ResponseWriter(request as ResponsesRequest),
  fields: {
    reasoning: 'reasoning.effort',
    reasoningNow: 'reasoning.effort',
    reasoningShown: 'reasoning.summary',
    topP: 'top_p',
    logprobs: 'top_logprobs',
    parallelToolCalls: 'parallel_tool_calls',
    toolChoice: 'tool_choice',
    json: 'text.format',
    schema: 'text.format',
    images: 'input.input_image',
    imageUrls: 'input.input_image',
    files: 'input.input_file',
    fileUrls: 'input.input_file.file_url',
  },
  encode: writeResponsesRequest,
  reader: responsesReader,
  readError: readResponsesError,
  renderRefusal: renderResponsesRefusal,
  renderError: renderResponsesError,
  renderStreamRefusal: renderResponsesStreamRefusal,
}
