import type { Call, EncodeTarget } from '../codec.ts'

/** What stands behind the model's name in the path, and what it asks for (Gemini API reference, methods of `models`). */
const methods: Record<string, Pick<Call, 'operation' | 'streamed'>> = {
  generateContent: { operation: 'generate', streamed: false },
  streamGenerateContent: { operation: 'generate', streamed: true },
  countTokens: { operation: 'count', streamed: false },
}

/**
 * Reads `…/models/{name}:{method}`. The name is whatever stands between, slashes and escapes included; it is only ever looked
 * up among the aliases. Google's SDK writes a name with a slash as another publisher's, in its mode for Vertex AI. Undefined
 * where that is no path of this protocol.
 */
export function geminiCall(pathname: string, query: string): Call | undefined {
  const from = pathname.indexOf('/models/')
  if (from < 0) return undefined
  const named = decoded(pathname.slice(from + '/models/'.length))
  const colon = named?.lastIndexOf(':') ?? -1
  if (named === undefined || colon < 1) return undefined
  const method = Object.hasOwn(methods, named.slice(colon + 1)) ? methods[named.slice(colon + 1)] : undefined
  return method && { ...method, model: publisherIn(pathname.slice(0, from)) + named.slice(0, colon), query }
}

function publisherIn(before: string): string {
  const at = before.lastIndexOf('/publishers/')
  const publisher = at < 0 ? 'google' : decoded(before.slice(at + '/publishers/'.length))
  return publisher === undefined || publisher === 'google' ? '' : `${publisher}/`
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/**
 * Where a provider is asked. Streams are always asked for as server-sent events, whatever the client wants to be told in;
 * nothing of the client's query goes on, since Google takes a key and headers there too.
 */
export function geminiPath({ upstreamName }: EncodeTarget, method: string): string {
  const query = method === 'streamGenerateContent' ? '?alt=sse' : ''
  return `/models/${encodeURIComponent(upstreamName.toWellFormed())}:${method}${query}`
}
