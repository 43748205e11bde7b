import type { ProviderFinding } from '../../../schema/link.ts'
import { neverReached } from '../upstream-fetch.ts'

const detailLengthMax = 500

/** A finding of nothing but why. */
export const unreached = (detail: string): ProviderFinding => ({
  ...{ ok: false, status: null, latencyMs: null, detail: detail.slice(0, detailLengthMax), models: [] },
})

/** What a status says that brings no list. A provider's own words are not told on: they may repeat the credential. */
export function sentenceOf(status: number, isProven: boolean): string {
  if (status >= 300 && status < 400) return `It redirects (${status}), which is not followed. Is its base URL right?`
  if (status === 401 && !isProven) return 'It wants a credential (401), and none is declared for it.'
  if (status === 401) return 'It refused the credential (401).'
  if (status === 403) return 'It refused the credential, or does not let it list models (403).'
  if (status === 404 || status === 405) return `It has no list of models there (${status}). Is its base URL right?`
  if (status === 429) return 'It is reachable, but is limiting requests right now (429).'
  if (status >= 500) return `It is reachable, but failing (${status}).`
  return `It answered ${status} where a list of models was asked for.`
}

/** Why a connection did not come about, by the code of Bun's fetch. */
export function sentenceOfFailure(code: string, host: string): string {
  if (/CERT|SELF_SIGNED|ERR_TLS|ERR_SSL|UNABLE_TO_|HOSTNAME_MISMATCH/.test(code))
    return `Its TLS certificate is not trusted here (${code}). A private CA is declared as caBundle.`
  if (neverReached.test(code)) return `Nothing answers at ${host} (${code}).`
  return `The connection to ${host} broke off (${code}).`
}
