import type { AwsKeys } from './aws-signature.ts'
import type { ProofNeed } from './proof-need.ts'
import { type Missing, TokenCache } from './token-cache.ts'
import { readTokenFile } from './token-file.ts'

const assumed = new TokenCache<AwsKeys>()

/**
 * AWS keys of a credential. A secret is `ID:SECRET[:SESSION]` or the JSON `{"accessKeyId", "secretAccessKey", "sessionToken"?}`;
 * an environment variable that holds an access key id alone is completed by AWS's own variables beside it. Workload identity
 * takes AWS's variables, or assumes AWS_ROLE_ARN with the token in AWS_WEB_IDENTITY_TOKEN_FILE (IAM roles for service accounts).
 */
export async function awsKeys(need: ProofNeed): Promise<AwsKeys | Missing> {
  const { credential, secrets } = need
  if (credential.source === 'WORKLOAD_IDENTITY' || credential.kind === 'AWS_WEB_IDENTITY') return workloadKeys(need)
  const secret = secrets.secretOf(credential)
  if ('missing' in secret) return secret
  return readKeys(secret.expose(), need) ?? { missing: `The secret of credential ${credential.id} is no AWS key pair.` }
}

function readKeys(text: string, { credential, env }: ProofNeed): AwsKeys | undefined {
  if (text.startsWith('{')) return readJson(text)
  const [accessKeyId, secretAccessKey, ...session] = text.split(':')
  if (accessKeyId && secretAccessKey)
    return { accessKeyId, secretAccessKey, ...(session.length > 0 && { sessionToken: session.join(':') }) }
  return credential.source === 'ENVIRONMENT' && accessKeyId ? fromEnvironment(env, accessKeyId) : undefined
}

function readJson(text: string): AwsKeys | undefined {
  try {
    const { accessKeyId, secretAccessKey, sessionToken } = JSON.parse(text) as Record<string, unknown>
    if (typeof accessKeyId !== 'string' || typeof secretAccessKey !== 'string') return undefined
    return { accessKeyId, secretAccessKey, ...(typeof sessionToken === 'string' && { sessionToken }) }
  } catch {
    return undefined
  }
}

function fromEnvironment(env: ProofNeed['env'], accessKeyId = env.AWS_ACCESS_KEY_ID): AwsKeys | undefined {
  const { AWS_SECRET_ACCESS_KEY: secretAccessKey, AWS_SESSION_TOKEN: sessionToken } = env
  return accessKeyId && secretAccessKey
    ? { accessKeyId, secretAccessKey, ...(sessionToken && { sessionToken }) }
    : undefined
}

async function workloadKeys(need: ProofNeed): Promise<AwsKeys | Missing> {
  const { credential, env } = need
  const own = credential.kind === 'AWS_KEYS' ? fromEnvironment(env) : undefined
  if (own) return own
  const { AWS_ROLE_ARN: role, AWS_WEB_IDENTITY_TOKEN_FILE: file } = env
  if (!role || !file)
    return {
      missing: `Credential ${credential.id} needs AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE on this gateway.`,
    }
  return assumed.get(`${role} ${file} ${credential.id}`, () => assumeRole(need, role, file))
}

/** STS AssumeRoleWithWebIdentity, whose answer is JSON where JSON is asked for (AWS STS API reference). */
async function assumeRole(need: ProofNeed, role: string, file: string) {
  const { credential, request, exchange, env } = need
  const token = readTokenFile(file)
  if (token === undefined) return { missing: `Credential ${credential.id}: its web identity token cannot be read.` }
  const region = request.region ?? env.AWS_REGION ?? 'us-east-1'
  const base = env.AWS_ENDPOINT_URL_STS ?? `https://sts.${region}.amazonaws.com`
  const form = new URLSearchParams({
    Action: 'AssumeRoleWithWebIdentity',
    Version: '2011-06-15',
    RoleArn: role,
    RoleSessionName: env.AWS_ROLE_SESSION_NAME ?? 'sluice',
    WebIdentityToken: token,
  })
  const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }
  const { provider } = request
  const answer = await exchange({ provider, url: `${base}/`, method: 'POST', headers, body: form.toString() })
  return 'missing' in answer ? { missing: String(answer.missing) } : readAssumed(answer, credential.id)
}

function readAssumed(answer: Record<string, unknown>, id: string): { value: AwsKeys; lifeMs: number } | Missing {
  // biome-ignore lint/suspicious/noExplicitAny: read member by member below
  const held = (answer as any).AssumeRoleWithWebIdentityResponse?.AssumeRoleWithWebIdentityResult?.Credentials
  const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = held ?? {}
  if (!AccessKeyId || !SecretAccessKey) return { missing: `Credential ${id}: AWS gave no keys for its role.` }
  const endMs = typeof Expiration === 'number' ? Expiration * 1000 : Date.parse(Expiration)
  const lifeMs = Number.isFinite(endMs) ? Math.max(0, endMs - Date.now()) : 15 * 60_000
  return { value: { accessKeyId: AccessKeyId, secretAccessKey: SecretAccessKey, sessionToken: SessionToken }, lifeMs }
}
