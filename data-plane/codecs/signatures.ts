import type { Codec as CodecName } from '../../schema/config/index.ts'
import type { Signature } from './neutral.ts'

/**
 * What a signature of another protocol proves: a thought shown, a thought that it holds encrypted, or the tool call behind it.
 */
export type SignatureKind = 'thought' | 'encrypted' | 'call'

/** A signature shown to clients of another protocol, marked so that it is known when it comes back. */
export interface Tagged {
  kind: SignatureKind
  /** Null: the thought came without one. */
  signature: Signature | null
}

const mark = 'sluice.'

/** The text that stands for a signature in another protocol: `sluice.CODEC.KIND.VALUE`. */
export function tagSignature(kind: SignatureKind, signature: Signature | null): string {
  return `${mark}${signature?.from ?? 'NONE'}.${kind}.${signature?.value ?? ''}`
}

/** Undefined where the text is no tag of ours. */
export function untagSignature(text: string): Tagged | undefined {
  if (!text.startsWith(mark)) return undefined
  const [, from, kind] = text.split('.', 3)
  if (from === undefined || kind === undefined || !kinds.has(kind)) return undefined
  const value = text.slice(mark.length + from.length + kind.length + 2)
  return {
    kind: kind as SignatureKind,
    signature: from === 'NONE' ? null : { from: from as CodecName, value },
  }
}

const kinds: ReadonlySet<string> = new Set<SignatureKind>(['thought', 'encrypted', 'call'])

/** True where a text can hold a tag: what does not need not be searched. */
export const mayHoldTag = (text: string): boolean => text.includes(`"${mark}`)

/**
 * True where Claude, asked in the protocol `by`, can read this proof of its thinking: signatures are the same wherever it is
 * served, what is encrypted is only known to be where it came from.
 */
export function claudeReads(signature: Signature | null, encrypted: boolean, by: CodecName): signature is Signature {
  if (signature === null) return false
  return signature.from === by || (!encrypted && servesClaude.has(signature.from))
}

const servesClaude: ReadonlySet<CodecName> = new Set<CodecName>(['ANTHROPIC_MESSAGES', 'BEDROCK_CONVERSE'])
