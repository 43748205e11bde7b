import type { Wire } from '../codecs/wire.ts'
import type { RunningCredential, RunningModel, RunningTarget } from '../snapshot/running.ts'

/** One model with one credential that a request may go to, with the provider's name for the model filled in. */
export interface Target {
  readonly model: RunningModel
  readonly credential: RunningCredential | null
  readonly weight: number
  readonly upstreamName: string
  readonly wire: Wire
  /** What its health and its speed are remembered under, whatever the credential. */
  readonly key: string
  /** Attempts that this exchange made at it. */
  tries: number
}

/** A target as declared, before one of its credentials is chosen. */
export interface Candidate {
  readonly declared: RunningTarget
  /** Those that are not resting; empty where it needs none. */
  readonly credentials: readonly RunningCredential[]
  readonly upstreamName: string
  readonly wire: Wire
  readonly key: string
}

/** A wildcard model stands for many models of its provider, each with a health of its own. */
export function targetKey(model: RunningModel, upstreamName: string): string {
  return model.upstreamPrefix === null ? model.id : `${model.id} ${upstreamName}`
}
