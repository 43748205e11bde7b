import { Hash } from '@smithy/hash-node'
import { SignatureV4 } from '@smithy/signature-v4'
import type { Unproven } from './proof-need.ts'

export interface AwsKeys {
  accessKeyId: string
  secretAccessKey: string
  sessionToken?: string
}

/** The region in a host such as `bedrock-runtime.eu-central-1.amazonaws.com` or its FIPS and China forms. */
const regionInHost = /^[a-z0-9-]+\.([a-z]{2}(?:-[a-z]+)+-\d)\.(?:amazonaws\.com|api\.aws)/

/** The headers that sign a request for Amazon Bedrock (AWS Signature Version 4). */
export async function signForAws(request: Unproven, address: string, keys: AwsKeys): Promise<Record<string, string>> {
  const url = new URL(address)
  const region = request.region ?? regionInHost.exec(url.hostname)?.[1] ?? 'us-east-1'
  const signer = new SignatureV4({ service: 'bedrock', region, credentials: keys, sha256: Hash.bind(null, 'sha256') })
  const type = request.headers['content-type'] ?? (request.method === 'GET' ? undefined : 'application/json')
  const { headers } = await signer.sign({
    method: request.method ?? 'POST',
    protocol: url.protocol,
    hostname: url.hostname,
    path: url.pathname,
    query: Object.fromEntries(url.searchParams),
    // Only what cannot change on the way is signed.
    headers: { host: url.host, ...(type && { 'content-type': type }) },
    body: request.body,
  })
  const { host: _, 'content-type': __, ...added } = headers
  return added
}
