import type { UpstreamRequest } from '../../../data-plane/ports.ts'
import type { RunningCredential, Secrets } from '../../../data-plane/snapshot/running.ts'
import type { TokenExchange } from './token-cache.ts'

/** A request as it goes out, as far as a proof depends on it. */
export interface Unproven extends Pick<UpstreamRequest, 'provider' | 'credential' | 'region' | 'headers' | 'body'> {
  /** Absent = POST, as every request to a model is. */
  method?: 'GET'
}

/** What making a proof may need. */
export interface ProofNeed {
  request: Unproven
  credential: RunningCredential
  url: string
  secrets: Secrets
  exchange: TokenExchange
  env: Record<string, string | undefined>
}
