import type { Dialect, Protocol } from '../codec.ts'
import { GeminiAnswerDecoder } from './answer.ts'
import { geminiCeiling } from './ceilings.ts'
import { CountDecoder, countHere } from './count.ts'
import { readGeminiError, renderGeminiRefusal, renderGeminiStreamRefusal } from './errors.ts'
import { geminiReader } from './read-answer.ts'
import { readGeminiRequest } from './read-request.ts'
import { admitGemini, type GeminiRequest, passGemini } from './request.ts'
import { GeminiStreamDecoder } from './stream.ts'
import { GeminiAnswerWriter, GeminiPieceWriter } from './write-answer.ts'
import { writeGeminiRequest } from './write-request.ts'

/** Google Gemini's generateContent, as AI Studio and Vertex AI have it. */
export const geminiGenerate: Dialect & Protocol = {
  name: 'GEMINI_GENERATE',
  forwards: [],
  admit: admitGemini,
  ceiling: (request, model) => geminiCeiling(request as GeminiRequest, model),
  pass: (request, target) => passGemini(request as GeminiRequest, target),
  passing(request) {
    const { framing, operation } = request as GeminiRequest
    if (operation === 'count') return new CountDecoder()
    return framing === 'plain' ? new GeminiAnswerDecoder() : new GeminiStreamDecoder(framing)
  },
  countHere: (request, model) => countHere(request as GeminiRequest, model),
  neutral: (request) => readGeminiRequest(request as GeminiRequest),
  writer: (request) =>
    request.streamed
      ? new GeminiPieceWriter(request as GeminiRequest)
      : new GeminiAnswerWriter(request as GeminiRequest),
  fields: {
    topK: 'generationConfig.topK',
    seed: 'generationConfig.seed',
    temperature: 'generationConfig.temperature',
    topP: 'generationConfig.topP',
    presencePenalty: 'generationConfig.presencePenalty',
    frequencyPenalty: 'generationConfig.frequencyPenalty',
    stop: 'generationConfig.stopSequences',
    choices: 'generationConfig.candidateCount',
    logprobs: 'generationConfig.responseLogprobs',
    reasoning: 'generationConfig.thinkingConfig',
    reasoningShown: 'generationConfig.thinkingConfig.includeThoughts',
    toolChoice: 'toolConfig.functionCallingConfig',
    json: 'generationConfig.responseMimeType',
    schema: 'generationConfig.responseSchema',
    images: 'contents.parts.inlineData',
    imageUrls: 'contents.parts.fileData',
    files: 'contents.parts.inlineData',
    fileUrls: 'contents.parts.fileData',
    audio: 'contents.parts.inlineData',
    toolResultImages: 'contents.parts.functionResponse.parts',
    signatures: 'contents.parts.thoughtSignature',
  },
  encode: writeGeminiRequest,
  reader: geminiReader,
  readError: readGeminiError,
  renderRefusal: renderGeminiRefusal,
  renderStreamRefusal: renderGeminiStreamRefusal,
}
