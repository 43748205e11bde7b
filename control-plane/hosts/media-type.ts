/**
 * True for JSON in UTF-8, the one thing a POST may send. Forms and plain text are what another site's page could send without
 * asking; in other charsets the same bytes could read differently to a filter in front and to us.
 */
export function isJson(contentType: string): boolean {
  return /^application\/(graphql\+)?json\s*(;\s*charset\s*=\s*"?utf-?8"?\s*)?;?\s*$/i.test(contentType)
}
