import type { RunningCredential, Secret, Secrets } from '../../../data-plane/snapshot/running.ts'
import { awsKeys } from './aws-keys.ts'
import { signForAws } from './aws-signature.ts'
import { entraToken } from './azure-entra.ts'
import { serviceAccountToken } from './google-service-account.ts'
import type { ProofNeed, Unproven } from './proof-need.ts'
import type { Missing, TokenExchange } from './token-cache.ts'

/** What proves the gateway to a provider: headers to send, and the texts that must never be seen again. */
export interface Proof {
  headers: Record<string, string>
  secrets: readonly string[]
}

const nothing: Proof = { headers: {}, secrets: [] }

/** Proves requests. API keys are there at once; whatever has to be fetched or signed is waited for. */
export interface Prover {
  prove(request: Unproven, url: string): Proof | Missing | Promise<Proof | Missing>
}

/**
 * Adds nothing to the request itself: who sends it does, last, so that a credential is in no log and no error. `exchange` fetches
 * tokens from a vendor's own token service, by the provider's way out.
 */
export function prover(
  secrets: Secrets,
  exchange: TokenExchange,
  env: Record<string, string | undefined> = process.env,
): Prover {
  return {
    prove(request, url) {
      const { credential } = request
      if (credential === null || credential.kind === 'NONE') return nothing
      if (credential.kind === 'API_KEY' || credential.kind === 'BEARER') {
        const secret = secrets.secretOf(credential)
        return 'missing' in secret ? secret : keyProof(credential, secret)
      }
      return byKind[credential.kind]({ request, credential, url, secrets, exchange, env })
    },
  }
}

const byKind: Record<
  'AWS_KEYS' | 'AWS_WEB_IDENTITY' | 'AZURE_ENTRA' | 'GCP_SERVICE_ACCOUNT',
  (need: ProofNeed) => Promise<Proof | Missing>
> = {
  AWS_KEYS: signed,
  AWS_WEB_IDENTITY: signed,
  AZURE_ENTRA: async (need) => bearer(await entraToken(need)),
  GCP_SERVICE_ACCOUNT: async (need) => bearer(await serviceAccountToken(need)),
}

async function signed(need: ProofNeed): Promise<Proof | Missing> {
  const keys = await awsKeys(need)
  if ('missing' in keys) return keys
  return {
    headers: await signForAws(need.request, need.url, keys),
    secrets: [keys.secretAccessKey, ...(keys.sessionToken ? [keys.sessionToken] : [])],
  }
}

function bearer(token: string | Missing): Proof | Missing {
  return typeof token === 'string' ? { headers: { authorization: `Bearer ${token}` }, secrets: [token] } : token
}

/** Under which header each vendor takes its API keys; all others take them as bearer tokens. */
const keyHeaders: Partial<Record<RunningCredential['provider']['platform'], string>> = {
  ANTHROPIC: 'x-api-key',
  AZURE_OPENAI: 'api-key',
  GOOGLE_AI: 'x-goog-api-key',
  GOOGLE_VERTEX: 'x-goog-api-key',
}

function keyProof(credential: RunningCredential, secret: Secret): Proof {
  const key = secret.expose()
  const header = credential.kind === 'API_KEY' ? keyHeaders[credential.provider.platform] : undefined
  return { headers: header ? { [header]: key } : { authorization: `Bearer ${key}` }, secrets: [key] }
}
