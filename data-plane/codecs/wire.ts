import type { Codec as CodecName } from '../../schema/config/index.ts'
import { isRefusal, type Refusal, refuse } from '../../schema/refusals.ts'
import { areMonstrous, nestingMax, valuesMax } from '../json-members.ts'
import type { RunningModel } from '../snapshot/running.ts'
import {
  type AdmittedRequest,
  type AnswerDecoder,
  type Dialect,
  type Encoded,
  type EncodeTarget,
  isTranslatable,
  type PassingDialect,
  type Protocol,
  type TokenCeiling,
  type UpstreamError,
} from './codec.ts'
import { type Feature, hints, type NeutralRequest } from './neutral.ts'
import { neutralCeiling } from './neutral-ceiling.ts'
import { retold, TranslatedDecoder } from './translated.ts'

/** How a client's protocol meets a provider's: passed through where they are the same, else through the neutral form. */
export interface Wire {
  readonly protocol: CodecName
  ceiling(request: AdmittedRequest, model: RunningModel): TokenCeiling
  /** The request as this target gets it, and what of it the target does not get. */
  encode(request: AdmittedRequest, target: EncodeTarget, allowLossy: boolean): WireRequest | Refusal
  /** `thinks`: the model may make output, and bill it, that the answer does not show. */
  decoder(request: AdmittedRequest, thinks: boolean): AnswerDecoder
  readError(status: number, body: string): UpstreamError
  /** Headers of the client's that go on. */
  readonly forwards: readonly string[]
}

export interface WireRequest extends Encoded {
  /** Names of what was lost, as the client's dialect calls them. */
  lossy: readonly string[]
}

const nothing: readonly string[] = []
/** What dialects call a conversation that is not `messages`. */
const conversation: Partial<Record<CodecName, string>> = { OPENAI_RESPONSES: 'input', GEMINI_GENERATE: 'contents' }

export function passingWire(dialect: PassingDialect): Wire {
  const fields = isTranslatable(dialect) ? dialect.fields : {}
  return {
    protocol: dialect.name,
    forwards: dialect.forwards,
    ceiling: (request, model) => dialect.ceiling(request, model),
    encode(request, target) {
      const encoded = dialect.pass(request, target)
      return Object.assign(encoded, {
        lossy: encoded.lost?.map((feature) => fields[feature] ?? feature) ?? nothing,
      })
    },
    decoder: (request, thinks) => dialect.passing(request, thinks),
    readError: (status, body) => dialect.readError(status, body),
  }
}

export function translatingWire(dialect: Dialect, protocol: Protocol): Wire {
  const spell = (feature: Feature) => dialect.fields[feature] ?? feature
  return {
    protocol: protocol.name,
    forwards: nothing,
    ceiling: (request, model) => {
      const neutral = neutralOf(dialect, request)
      // What cannot be read is refused by `encode`, which comes next.
      return isRefusal(neutral)
        ? { inputTokens: 0, outputTokens: 0 }
        : neutralCeiling(neutral, model, protocol.name, conversation[dialect.name] ?? 'messages')
    },
    encode(request, target, allowLossy) {
      const neutral = neutralOf(dialect, request)
      if (isRefusal(neutral)) return neutral
      const { lost, ...encoded } = protocol.encode(neutral, target)
      const lossy = [...neutral.foreign, ...neutral.incidental, ...lost.map(spell)]
      const refused = neutral.foreign[0] ?? lost.filter((feature) => !hints.has(feature)).map(spell)[0]
      if (refused !== undefined && !allowLossy) return cannotExpress(refused, protocol.name)
      return { ...encoded, lossy }
    },
    decoder: (request, thinks) =>
      new TranslatedDecoder(protocol.reader(request.streamed, thinks), dialect.writer(request), dialect, request.alias),
    readError: (status, body) => retold(protocol.readError(status, body), dialect),
  }
}

/** The neutral form is made once per request, whatever the number of attempts; a request is never changed. */
const made = new WeakMap<AdmittedRequest, NeutralRequest | Refusal>()

function neutralOf(dialect: Dialect, request: AdmittedRequest): NeutralRequest | Refusal {
  let neutral = made.get(request)
  if (neutral === undefined) {
    neutral = bounded(dialect.neutral(request))
    made.set(request, neutral)
  }
  return neutral
}

/** Arguments of calls are JSON within strings, which the bounds of the body did not see; protocols that have objects parse them. */
function bounded(neutral: NeutralRequest | Refusal): NeutralRequest | Refusal {
  if (isRefusal(neutral)) return neutral
  const told = neutral.turns.flatMap(({ parts }) =>
    parts.map((part) => (part.type === 'toolCall' ? part.arguments : '')),
  )
  return areMonstrous(told) ? refuse('malformed_request', monstrousCalls) : neutral
}

const monstrousCalls = `The arguments of its tool calls are nested deeper than ${nestingMax} levels, or hold more than ${valuesMax} values.`

function cannotExpress(field: string, protocol: CodecName): Refusal {
  const detail = `'${field}' has no form in ${protocol}, which the provider behind this model speaks. Leave it out, or let the alias allow losses.`
  return refuse('unsupported_feature', detail, field)
}
