import { createHash, createHmac } from 'node:crypto'
import { Hash } from '@smithy/hash-node'
import { SignatureV4 } from '@smithy/signature-v4'

export interface AwsKeys {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
}

/**
 * What is wrong with a request's AWS Signature Version 4 (IAM User Guide, "Create a signed AWS API request"), reckoned here from
 * the document and by AWS's own signer; undefined where both find the signature that was sent.
 */
export async function wrongSignature(
  request: Request,
  body: string,
  keys: AwsKeys,
  region: string,
): Promise<string | undefined> {
  const given = request.headers.get('authorization') ?? ''
  const [, key, date, signed, signature] =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/\S+, SignedHeaders=([a-z0-9;-]+), Signature=([0-9a-f]{64})$/.exec(
      given,
    ) ?? []
  if (!key || !date || !signed || !signature) return `no signature: ${given.slice(0, 40)}`
  if (key !== keys.accessKeyId) return 'another access key'
  if (!given.includes(`/${date}/${region}/bedrock/aws4_request`)) return `another scope: ${given}`
  const at = request.headers.get('x-amz-date') ?? ''
  if (!/^\d{8}T\d{6}Z$/.test(at) || !at.startsWith(date)) return 'no date'
  if ((request.headers.get('x-amz-security-token') ?? undefined) !== keys.sessionToken) return 'another session token'
  if (!signed.split(';').includes('host')) return 'the host is not signed'
  if (ownSignature(request, body, keys, { region, date, at, signed }) !== signature)
    return 'the signature does not match'
  if ((await amazonSignature(request, body, keys, { region, at, signed })) !== given)
    return 'AWS’s own signer signs otherwise'
  return undefined
}

const hex = (text: string) => createHash('sha256').update(text).digest('hex')

function ownSignature(
  request: Request,
  body: string,
  { secretAccessKey }: AwsKeys,
  { region, date, at, signed }: { region: string; date: string; at: string; signed: string },
): string {
  const { pathname, searchParams } = new URL(request.url)
  const path = pathname
    .split('/')
    .map((segment) =>
      encodeURIComponent(segment).replaceAll(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`),
    )
    .join('/')
  const query = [...searchParams]
    .map((pair) => pair.map(encodeURIComponent).join('='))
    .sort()
    .join('&')
  const headers = signed.split(';').map((name) => `${name}:${request.headers.get(name)?.trim()}\n`)
  const canonical = [request.method, path, query, headers.join(''), signed, hex(body)].join('\n')
  const scope = `${date}/${region}/bedrock/aws4_request`
  const text = ['AWS4-HMAC-SHA256', at, scope, hex(canonical)].join('\n')
  let key: string | Buffer = `AWS4${secretAccessKey}`
  for (const part of [date, region, 'bedrock', 'aws4_request']) key = createHmac('sha256', key).update(part).digest()
  return createHmac('sha256', key).update(text).digest('hex')
}

async function amazonSignature(
  request: Request,
  body: string,
  credentials: AwsKeys,
  { region, at, signed }: { region: string; at: string; signed: string },
): Promise<string> {
  const { hostname, pathname, searchParams } = new URL(request.url)
  const names = signed.split(';').filter((name) => !/^x-amz-(date|security-token|content-sha256)$/.test(name))
  const signer = new SignatureV4({ service: 'bedrock', region, credentials, sha256: Hash.bind(null, 'sha256') })
  const time = at.replace(/(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z/, '$1-$2-$3T$4:$5:$6Z')
  const plain = {
    ...{ method: request.method, protocol: 'http:', hostname, path: pathname, body },
    query: Object.fromEntries(searchParams),
    headers: Object.fromEntries(names.map((name) => [name, request.headers.get(name) ?? ''])),
  }
  const { headers } = await signer.sign(plain, { signingDate: new Date(time) })
  return String(headers.authorization)
}
