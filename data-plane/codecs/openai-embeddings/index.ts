import type { PassingDialect } from '../codec.ts'
import { openaiChat } from '../openai-chat/index.ts'
import { EmbeddingsDecoder } from './answer.ts'
import { embeddingsCeiling } from './ceilings.ts'
import { admitEmbeddings, type EmbeddingsRequest, passEmbeddings } from './request.ts'

/** OpenAI's embeddings: texts or token ids in, numbers or base64 out. */
export const openaiEmbeddings: PassingDialect = {
  name: 'OPENAI_EMBEDDINGS',
  forwards: [],
  admit: admitEmbeddings,
  ceiling: (request, model) => embeddingsCeiling(request as EmbeddingsRequest, model),
  pass: (request, target) => passEmbeddings(request as EmbeddingsRequest, target),
  passing: () => new EmbeddingsDecoder(),
  readError: openaiChat.readError,
  renderRefusal: openaiChat.renderRefusal,
  renderStreamRefusal: openaiChat.renderStreamRefusal,
}
