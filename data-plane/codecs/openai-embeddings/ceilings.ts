import type { RunningModel } from '../../snapshot/running.ts'
import { openaiTier, utf8Bytes } from '../ceiling-parts.ts'
import type { TokenCeiling } from '../codec.ts'
import { type EmbeddingsRequest, inputsOf } from './request.ts'

/**
 * Upper bounds of a request for embeddings (OpenAI API reference, "Create embeddings"): a text has at most a token per byte, a list
 * of token ids as many as it holds, each input a declared overhead and at most the model's context. There are no output tokens.
 */
export function embeddingsCeiling({ body }: EmbeddingsRequest, model: RunningModel): TokenCeiling {
  const { input } = body
  const inputs: unknown[] = inputsOf(input) === 1 && !Array.isArray(input?.[0]) ? [input] : input
  const seen = inputs.reduce<number>((sum, one) => sum + tokensOf(one) + model.bounds.tokensPerMessage, 0)
  const most = model.contextTokens === null ? seen : model.contextTokens * inputs.length
  return { inputTokens: Math.min(seen, most), outputTokens: 0, serviceTier: openaiTier(body) }
}

function tokensOf(input: unknown): number {
  if (Array.isArray(input) && input.every((token) => typeof token === 'number')) return input.length
  return utf8Bytes(typeof input === 'string' ? input : JSON.stringify(input))
}
