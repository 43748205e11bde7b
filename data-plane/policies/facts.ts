import type { Codec as CodecName } from '../../schema/config/index.ts'
import type { RunningModel } from '../snapshot/running.ts'

/** What policies may ask about a request. Undefined = not known yet, as where only the key is. */
export interface RequestFacts {
  /** Null = the request has no such label. */
  label(key: string): string | null | undefined
  readonly dialect: CodecName | undefined
  readonly streamed: boolean | undefined
  readonly tools: boolean | undefined
  readonly images: boolean | undefined
  /** Of what the user said last, ISO 639-1. Null = it cannot be told. */
  readonly language: string | null | undefined
  /** The bound that is reserved for at this model. */
  inputTokens(model: RunningModel): number | undefined
}

/** Any request of a key: only the labels that the key binds are known. */
export function anyRequest(bound: Readonly<Record<string, string>>): RequestFacts {
  return {
    label: (key) => (Object.hasOwn(bound, key) ? bound[key]! : undefined),
    dialect: undefined,
    streamed: undefined,
    tools: undefined,
    images: undefined,
    language: undefined,
    inputTokens: () => undefined,
  }
}
