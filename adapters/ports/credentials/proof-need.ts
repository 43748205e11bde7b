import type { UpstreamRequest } from '../../../data-plane/ports.ts'
import type { RunningCredential, Secrets } from '../../../data-plane/snapshot/running.ts'
import type { TokenExchange } from './token-cache.ts'

/** What making a proof may need. */
export interface ProofNeed {
  request: UpstreamRequest
  credential: RunningCredential
  url: string
  secrets: Secrets
  exchange: TokenExchange
  env: Record<string, string | undefined>
}
