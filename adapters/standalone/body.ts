import { type Refusal, refuse } from '../../schema/refusals.ts'

/** Reads a request's JSON body as text, never more than `bytesMax` of it. */
export async function readBody(request: Request, bytesMax: number): Promise<string | Refusal> {
  const type = request.headers.get('content-type') ?? ''
  if (!/^application\/([a-z0-9.+-]+\+)?json\s*(;|$)/i.test(type))
    return refuse('malformed_request', 'Send the body with "content-type: application/json".')
  const charset = /charset\s*=\s*"?\s*([^\s;"]*)/i.exec(type)?.[1]
  if (charset !== undefined && !/^utf-?8$/i.test(charset)) return refuse('malformed_request', 'The body must be UTF-8.')
  if (request.headers.has('content-encoding'))
    return refuse('malformed_request', 'Compressed bodies are not read; send it plain.')
  const declared = request.headers.get('content-length')
  if (declared !== null && Number(declared) > bytesMax) return tooLarge(bytesMax)
  const bytes = await (declared !== null ? request.bytes() : readUpTo(request, bytesMax)).catch(() => 'broken' as const)
  if (bytes === 'broken') return refuse('malformed_request', 'The body broke off.')
  if (!bytes || bytes.length > bytesMax) return tooLarge(bytesMax)
  try {
    return utf8.decode(bytes)
  } catch {
    return refuse('malformed_request', 'The body is not UTF-8.')
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

const tooLarge = (bytesMax: number) => refuse('too_large', `The limit is ${bytesMax} bytes.`)

async function readUpTo(request: Request, bytesMax: number): Promise<Uint8Array | undefined> {
  if (!request.body) return new Uint8Array(0)
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of request.body) {
    length += chunk.length
    if (length > bytesMax) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}
