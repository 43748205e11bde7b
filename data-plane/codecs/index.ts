import type { Codec as CodecName } from '../../schema/config/index.ts'
import type { RunningProvider } from '../snapshot/running.ts'
import { anthropicMessages } from './anthropic-messages/index.ts'
import { bedrockConverse } from './bedrock-converse/index.ts'
import { isTranslatable, type Operation, type PassingDialect, type Protocol } from './codec.ts'
import { geminiGenerate } from './gemini-generate/index.ts'
import { openaiChat } from './openai-chat/index.ts'
import { openaiCompletions } from './openai-completions/index.ts'
import { openaiEmbeddings } from './openai-embeddings/index.ts'
import { openaiResponses } from './openai-responses/index.ts'
import { passingWire, translatingWire, type Wire } from './wire.ts'

/** Every dialect that clients may speak. */
export const dialects: readonly PassingDialect[] = [
  openaiChat,
  openaiResponses,
  anthropicMessages,
  openaiCompletions,
  openaiEmbeddings,
  geminiGenerate,
]
/** Every protocol that providers may be asked in by clients of another. */
export const protocols: readonly Protocol[] = [
  openaiChat,
  openaiResponses,
  anthropicMessages,
  geminiGenerate,
  bedrockConverse,
]

/** All pairs, made once: each dialect by itself, and all that can be translated. */
const wires = new Map(dialects.map((dialect) => [dialect.name, wiresOf(dialect)]))

function wiresOf(dialect: PassingDialect): Map<CodecName, Wire> {
  const others = isTranslatable(dialect)
    ? protocols.map((protocol): [CodecName, Wire] => [protocol.name, translatingWire(dialect, protocol)])
    : []
  return new Map<CodecName, Wire>([...others, [dialect.name, passingWire(dialect)]])
}

/**
 * How this provider is asked: in the client's own protocol where it speaks it, else in the first that it declares and that can
 * be translated to. Undefined where it cannot serve the operation.
 */
export function wireTo(provider: RunningProvider, dialect: PassingDialect, operation: Operation): Wire | undefined {
  const known = wires.get(dialect.name)!
  if (provider.codecs.has(dialect.name)) return known.get(dialect.name)
  if (operation !== 'generate') return undefined
  for (const codec of provider.codecs) {
    const wire = known.get(codec)
    if (wire) return wire
  }
  return undefined
}
