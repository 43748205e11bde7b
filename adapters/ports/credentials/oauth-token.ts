import type { Missing } from './token-cache.ts'

/** An OAuth 2.0 token answer (RFC 6749, 5.1). */
export function readToken(
  answer: Record<string, unknown> | Missing,
  id: string,
): { value: string; lifeMs: number } | Missing {
  if ('missing' in answer) return { missing: String(answer.missing) }
  const { access_token: value, expires_in: seconds } = answer
  if (typeof value !== 'string') return { missing: `Credential ${id}: its token service gave no token.` }
  return { value, lifeMs: Math.min(Number(seconds) || 300, 86_400) * 1000 }
}
