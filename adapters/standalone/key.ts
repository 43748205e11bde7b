/** The application key as OpenAI's SDKs send it. */
export function keyOf(headers: Headers): string | undefined {
  const bearer = headers.get('authorization')
  return bearer && /^bearer /i.test(bearer) ? bearer.slice(7).trim() : undefined
}
