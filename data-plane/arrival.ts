import type { Refusal } from '../schema/refusals.ts'
import type { Call, PassingDialect } from './codecs/codec.ts'

/** A request as an adapter hands it over. The body is read only once the caller is known. */
export interface Arrival {
  dialect: PassingDialect
  call: Call
  /** The application key, from whichever header the dialect uses. */
  key: string | undefined
  headers: Headers
  /** Asked only where a key is bound to addresses. */
  clientAddress: () => string | null
  readBody: () => Promise<string | Refusal>
}

/** The head of a provider's answer. */
export interface AnswerHead {
  status: number
  headers: Headers
  /** The body of an error, bounded. */
  errorText: () => Promise<string>
  /** Removes the credential from a text that the provider wrote. */
  scrub: (text: string) => string
}
