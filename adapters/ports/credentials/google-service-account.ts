import { createHash } from 'node:crypto'
import { importPKCS8, SignJWT } from 'jose'
import { readToken } from './oauth-token.ts'
import type { ProofNeed } from './proof-need.ts'
import { type Missing, TokenCache } from './token-cache.ts'

const tokens = new TokenCache<string>()
const scope = 'https://www.googleapis.com/auth/cloud-platform'
const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

interface ServiceAccount {
  client_email: string
  private_key: string
  private_key_id?: string
  token_uri: string
}

/**
 * A Google OAuth token for Vertex AI. The secret is a service account's JSON key, whose signed assertion is exchanged (RFC 7523);
 * workload identity asks the metadata server that Google's platforms have.
 */
export async function serviceAccountToken(need: ProofNeed): Promise<string | Missing> {
  const { credential } = need
  if (credential.source === 'WORKLOAD_IDENTITY') return metadataToken(need)
  const secret = need.secrets.secretOf(credential)
  if ('missing' in secret) return secret
  const text = secret.expose()
  const key = createHash('sha256').update(text).digest('hex')
  return tokens.get(key, async () => {
    const account = readAccount(text)
    return account ? exchangeAssertion(need, account) : notAnAccount(credential.id)
  })
}

const notAnAccount = (id: string) => ({ missing: `The secret of credential ${id} is no service account key in JSON.` })

function readAccount(text: string): ServiceAccount | undefined {
  try {
    const account = JSON.parse(text) as ServiceAccount
    const { client_email: email, private_key: key, token_uri: uri = 'https://oauth2.googleapis.com/token' } = account
    if (typeof email !== 'string' || typeof key !== 'string' || !URL.canParse(uri)) return undefined
    return { ...account, token_uri: uri }
  } catch {
    return undefined
  }
}

async function exchangeAssertion({ request, credential, exchange }: ProofNeed, account: ServiceAccount) {
  const { provider } = request
  const key = await importPKCS8(account.private_key, 'RS256').catch(() => undefined)
  if (!key) return notAnAccount(credential.id)
  const assertion = await new SignJWT({ scope })
    .setProtectedHeader({ alg: 'RS256', typ: 'JWT', ...(account.private_key_id && { kid: account.private_key_id }) })
    .setIssuer(account.client_email)
    .setAudience(account.token_uri)
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(key)
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const body = new URLSearchParams({ grant_type: grantType, assertion }).toString()
  return readToken(
    await exchange({ provider, url: account.token_uri, method: 'POST', headers, body, ofTenant: true }),
    credential.id,
  )
}

function metadataToken({ request, credential, exchange, env }: ProofNeed): Promise<string | Missing> {
  const host = env.GCE_METADATA_HOST ?? 'metadata.google.internal'
  const url = `http://${host}/computeMetadata/v1/instance/service-accounts/default/token`
  const headers = { 'metadata-flavor': 'Google' }
  const { provider } = request
  return tokens.get(url, async () =>
    readToken(await exchange({ provider, url, method: 'GET', headers }), credential.id),
  )
}
