import type { Codec as CodecName } from '../../schema/config/index.ts'
import type { Reading } from '../reading.ts'

/**
 * The one form between protocols: a client's request is read into it and written from it for a provider that speaks another
 * protocol; the answer comes back as `NeutralEvent`s. It holds what at least two protocols can say. What only one can say is
 * named in `foreign`, so that it is refused or reported and never dropped in silence.
 */
export interface NeutralRequest {
  streamed: boolean
  /** Instructions before the conversation, in order. */
  system: TextPart[]
  turns: Turn[]
  tools: Tool[]
  toolChoice: 'auto' | 'none' | 'required' | { name: string }
  /** Null where the client does not say. */
  parallelToolCalls: boolean | null
  output: OutputFormat
  sampling: Sampling
  /** Hidden reasoning included, as every protocol's own limit has it. Null where the client does not say. */
  maxOutputTokens: number | null
  stop: string[]
  /** Answers wanted. */
  choices: number
  reasoning: Reasoning
  /** How many alternatives per token; null = no log probabilities are wanted. */
  logprobs: { top: number } | null
  /** Who the end user is, as the client tells the provider. */
  user: string | null
  /** Fields without a neutral form, by their path in the client's dialect (`web_search_options`, `messages.3.audio`). */
  foreign: string[]
  /** Fields that change nothing of the answer (`metadata`, cache keys), by the same paths: reported, never refused. */
  incidental: string[]
}

/** One speaker's part of the conversation. Two turns of one role may follow each other; who writes them joins what must be. */
export interface Turn {
  /** `system` here is an instruction in the middle of the conversation. Tool results stand in turns of the user. */
  role: 'user' | 'assistant' | 'system'
  parts: Part[]
}

export type Part = TextPart | ImagePart | FilePart | AudioPart | ToolCall | ToolResult | Thought | RefusalPart

interface Cacheable {
  /** The prompt up to here shall be cached so long. */
  cache?: '5m' | '1h'
}

export interface TextPart extends Cacheable {
  type: 'text'
  text: string
}

export interface ImagePart extends Cacheable {
  type: 'image'
  source: Source
  /** As OpenAI has it; absent = as the model likes. */
  detail?: 'low' | 'high'
}

/** A document: PDF, text. */
export interface FilePart extends Cacheable {
  type: 'file'
  source: Source
  name: string | null
}

export interface AudioPart {
  type: 'audio'
  /** Base64. */
  data: string
  /** `wav`, `mp3` … */
  format: string
}

/** `data` is base64. */
export type Source =
  | { kind: 'data'; mediaType: string; data: string }
  | { kind: 'url'; url: string; mediaType?: string }

export interface ToolCall extends Cacheable {
  type: 'toolCall'
  id: string
  name: string
  /** JSON text of an object, exactly as it was given. */
  arguments: string
  /** What proves the reasoning behind the call, where a protocol signs calls (Gemini). */
  signature?: Signature
}

export interface ToolResult extends Cacheable {
  type: 'toolResult'
  id: string
  /** Null where the dialect does not repeat it. */
  name: string | null
  parts: (TextPart | ImagePart | FilePart)[]
  isError: boolean
}

/** Reasoning that was shown, and what proves it when it is sent back. */
export interface Thought {
  type: 'thought'
  /** Empty where it is only there in encrypted form. */
  text: string
  signature: Signature | null
  /** True where `signature` holds the reasoning itself, encrypted, and `text` is none or a summary. */
  encrypted: boolean
}

/** Only the protocol it comes from can read it; sent to another it would be refused, so it is left out there. */
export interface Signature {
  from: CodecName
  value: string
}

export interface RefusalPart {
  type: 'refusal'
  text: string
}

export interface Tool extends Cacheable {
  name: string
  description: string | null
  /** JSON Schema of the arguments; null = none. */
  parameters: Record<string, unknown> | null
  strict: boolean | null
}

export type OutputFormat =
  | { type: 'text' }
  | { type: 'json' }
  | {
      type: 'schema'
      name: string
      description: string | null
      schema: Record<string, unknown>
      strict: boolean | null
    }

export interface Sampling {
  temperature: number | null
  topP: number | null
  topK: number | null
  seed: number | null
  presencePenalty: number | null
  frequencyPenalty: number | null
}

export interface Reasoning {
  /** Null where the client does not say; `none` where it wants no reasoning. */
  effort: 'none' | 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' | 'max' | null
  budgetTokens: number | null
  /** The client wants to see it, or a summary of it. */
  shown: boolean | null
}

/** What a target may be unable to express; each dialect has its own name for it. */
export const features = [
  'topK',
  'seed',
  'temperature',
  'topP',
  'presencePenalty',
  'frequencyPenalty',
  'stop',
  'choices',
  'logprobs',
  'reasoning',
  /** Reasoning that the target could do, but not in this very call (a tool's result whose reasoning was another provider's). */
  'reasoningNow',
  /** Reasoning that the target does, but does not show. */
  'reasoningShown',
  'parallelToolCalls',
  'toolChoice',
  'tools',
  'strictTools',
  'json',
  'schema',
  'images',
  'imageUrls',
  'imageDetail',
  'files',
  'fileUrls',
  'audio',
  'toolResultImages',
  'toolErrors',
  'systemInside',
  'refusals',
  'signatures',
  'caching',
  'user',
] as const
export type Feature = (typeof features)[number]

/** Losses that change neither what is answered nor whether: they are reported in the record and refuse nothing. */
export const hints: ReadonlySet<Feature> = new Set([
  'caching',
  'imageDetail',
  'user',
  'signatures',
  'strictTools',
  'toolErrors',
  'refusals',
  'systemInside',
  'reasoningNow',
  'reasoningShown',
])

/** What an answer is made of, in the order it is told. A plain answer is the same events at once. */
export type NeutralEvent =
  | { type: 'start'; id: string; model: string; createdS: number | null }
  | { type: 'text'; choice: number; text: string; logprobs?: TokenLogprob[] }
  | { type: 'thought'; choice: number; text: string }
  /** Ends the thought it stands behind; `encrypted` as in `Thought`. */
  | { type: 'signature'; choice: number; signature: Signature; encrypted: boolean }
  | { type: 'refusal'; choice: number; text: string }
  /** `call` counts within the choice, from 0. */
  | { type: 'toolCall'; choice: number; call: number; id: string; name: string; signature?: Signature }
  /** A piece of the JSON text; an answer without any piece has the arguments `{}`. */
  | { type: 'arguments'; choice: number; call: number; json: string }
  | { type: 'finish'; choice: number; reason: FinishReason; stopSequence?: string }
  /** `serviceTier` in lower case, where the provider says which one it bills. */
  | { type: 'usage'; readings: Reading[]; serviceTier?: string | undefined }
  /** Something that has no neutral form, by its name in the upstream's protocol; it is reported in the record. */
  | { type: 'foreign'; what: string }

export type FinishReason =
  | 'stop'
  | 'stop_sequence'
  | 'length'
  | 'context_full'
  | 'tool_calls'
  | 'content_filter'
  | 'refusal'
  | 'pause'

export interface TokenLogprob {
  token: string
  logprob: number
  bytes: number[] | null
  top: { token: string; logprob: number; bytes: number[] | null }[]
}
