/** Headers that carry an application key, as vendors' SDKs send theirs: OpenAI, Anthropic, Gemini, Azure. */
const keyHeaders = ['x-api-key', 'x-goog-api-key', 'api-key'] as const

/**
 * The application key. A client that sends several headers (some set a dummy in one) is known by the first that holds a key of
 * this gateway.
 */
export function keyOf(headers: Headers): string | undefined {
  const bearer = headers.get('authorization')
  const given = bearer && /^bearer /i.test(bearer) ? bearer.slice(7).trim() : undefined
  if (given?.startsWith('slk_')) return given
  for (const name of keyHeaders) {
    const key = headers.get(name)?.trim()
    if (key?.startsWith('slk_')) return key
  }
  return given
}
