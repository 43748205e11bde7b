/**
 * Browsers share cookies between the ports of one host, so the name holds the port: two control planes on one machine do not
 * sign each other out. `__Host-` where the page is served by TLS.
 */
export function cookieName(port: number, secure: boolean): string {
  return `${secure ? '__Host-' : ''}sluice_${port}`
}

export function setCookie(name: string, secret: string, lifetimeMs: number, secure: boolean): string {
  const maxAge = Math.floor(lifetimeMs / 1_000)
  return `${name}=${secret}; Path=/; Max-Age=${maxAge}; HttpOnly; SameSite=Strict${secure ? '; Secure' : ''}`
}

/** The value of one cookie in a Cookie header. */
export function readCookie(header: string | null, name: string): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const equals = pair.indexOf('=')
    if (equals > 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim()
  }
  return undefined
}
