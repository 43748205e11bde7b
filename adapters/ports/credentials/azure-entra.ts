import { createHash } from 'node:crypto'
import { readToken } from './oauth-token.ts'
import type { ProofNeed } from './proof-need.ts'
import { type Missing, TokenCache } from './token-cache.ts'
import { readTokenFile } from './token-file.ts'

const tokens = new TokenCache<string>()
const scope = 'https://cognitiveservices.azure.com/.default'
const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** Who asks, and how it proves itself to Entra ID. */
interface Client {
  tenantId: string
  clientId: string
  proof: Record<string, string>
}

/**
 * An Entra ID token for Azure OpenAI (OAuth 2.0 client credentials). The secret is the JSON `{"tenantId", "clientId",
 * "clientSecret"}`; workload identity takes AZURE_TENANT_ID, AZURE_CLIENT_ID and the token in AZURE_FEDERATED_TOKEN_FILE.
 */
export async function entraToken(need: ProofNeed): Promise<string | Missing> {
  const { credential, env, exchange } = need
  const client = credential.source === 'WORKLOAD_IDENTITY' ? federated(need) : stored(need)
  if ('missing' in client) return client
  const { tenantId, clientId, proof } = client
  const { provider } = need.request
  const authority = (env.AZURE_AUTHORITY_HOST ?? 'https://login.microsoftonline.com').replace(/\/+$/, '')
  const url = `${authority}/${encodeURIComponent(tenantId)}/oauth2/v2.0/token`
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: clientId, scope, ...proof })
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const digest = createHash('sha256')
    .update(proof.client_secret ?? '')
    .digest('hex')
  return tokens.get(`${credential.source} ${authority} ${tenantId} ${clientId} ${digest}`, async () =>
    readToken(await exchange({ provider, url, method: 'POST', headers, body: form.toString() }), credential.id),
  )
}

function stored({ credential, secrets }: ProofNeed): Client | Missing {
  const secret = secrets.secretOf(credential)
  if ('missing' in secret) return secret
  try {
    const { tenantId, clientId, clientSecret } = JSON.parse(secret.expose()) as Record<string, unknown>
    if (typeof tenantId === 'string' && typeof clientId === 'string' && typeof clientSecret === 'string')
      return { tenantId, clientId, proof: { client_secret: clientSecret } }
  } catch {
    // Said below.
  }
  return { missing: `The secret of credential ${credential.id} must be JSON with tenantId, clientId and clientSecret.` }
}

function federated({ credential, env }: ProofNeed): Client | Missing {
  const { AZURE_TENANT_ID: tenantId, AZURE_CLIENT_ID: clientId, AZURE_FEDERATED_TOKEN_FILE: file } = env
  const assertion = file && readTokenFile(file)
  if (!tenantId || !clientId || !assertion)
    return {
      missing: `Credential ${credential.id} needs AZURE_TENANT_ID, AZURE_CLIENT_ID and a readable AZURE_FEDERATED_TOKEN_FILE on this gateway.`,
    }
  return { tenantId, clientId, proof: { client_assertion_type: assertionType, client_assertion: assertion } }
}
