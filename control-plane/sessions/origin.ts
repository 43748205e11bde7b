/**
 * True where a browser says that another site's page made this request. SameSite cookies are not enough: they treat every port
 * of one host as the same site, and a WebSocket handshake is not held back by CORS. Clients that are not browsers send neither
 * header.
 */
export function isForeign(request: Request): boolean {
  const site = request.headers.get('sec-fetch-site')
  if (site !== null && site !== 'same-origin' && site !== 'none') return true
  const origin = request.headers.get('origin')
  if (origin === null) return false
  // A proxy in front may speak TLS where we do not, so hosts are compared and schemes are not.
  return URL.parse(origin)?.host !== (request.headers.get('host') ?? new URL(request.url).host)
}
