import type { Codec as CodecName } from '../../schema/config/index.ts'
import type { RunningProvider } from '../snapshot/running.ts'
import type { Dialect, Operation, Protocol } from './codec.ts'
import { openaiChat } from './openai-chat/index.ts'
import { openaiResponses } from './openai-responses/index.ts'
import { passingWire, translatingWire, type Wire } from './wire.ts'

/** Every dialect that clients may speak. */
export const dialects: readonly Dialect[] = [openaiChat, openaiResponses]
/** Every protocol that providers may be asked in. */
export const protocols: readonly Protocol[] = [openaiChat, openaiResponses]

/** Protocols that answer with generated text, so that a request can be translated between them. */
const generating: ReadonlySet<CodecName> = new Set([
  'OPENAI_CHAT',
  'OPENAI_RESPONSES',
  'ANTHROPIC_MESSAGES',
  'GEMINI_GENERATE',
  'BEDROCK_CONVERSE',
])

/** All pairs, made once. */
const wires = new Map(
  dialects.map((dialect) => [
    dialect.name,
    new Map(
      protocols
        .filter(({ name }) => name === dialect.name || (generating.has(name) && generating.has(dialect.name)))
        .map((protocol) => [
          protocol.name,
          protocol.name === dialect.name ? passingWire(dialect, protocol) : translatingWire(dialect, protocol),
        ]),
    ),
  ]),
)

/**
 * How this provider is asked: in the client's own protocol where it speaks it, else in the first that it declares and that can
 * be translated to. Undefined where it cannot serve the operation.
 */
export function wireTo(provider: RunningProvider, dialect: Dialect, operation: Operation): Wire | undefined {
  const known = wires.get(dialect.name)!
  if (provider.codecs.has(dialect.name)) return known.get(dialect.name)
  if (operation !== 'generate') return undefined
  for (const codec of provider.codecs) {
    const wire = known.get(codec)
    if (wire) return wire
  }
  return undefined
}
