import type { FoundKey, RunningGrant } from './running.ts'

/** Finds what stands for a key. */
export type ForKey<T> = (found: Pick<FoundKey, 'grant' | 'apiKey'>) => T

/**
 * Remembers what was made for a grant when it was first used: a hundred thousand keys share few grants, and grants also come with
 * key deltas. What differs from key to key (`isKeyed`) is remembered by key, and made anew when the key's grant is another.
 */
export function perGrant<T extends object>(
  isKeyed: (apiKey: string) => boolean,
  make: (grant: RunningGrant, apiKey: string | null) => T,
): ForKey<T> {
  const byGrant = new WeakMap<RunningGrant, T>()
  const byKey = new Map<string, { grant: RunningGrant; made: T }>()
  return ({ grant, apiKey }) => {
    if (isKeyed(apiKey)) {
      const kept = byKey.get(apiKey)
      if (kept?.grant === grant) return kept.made
      const made = make(grant, apiKey)
      byKey.set(apiKey, { grant, made })
      return made
    }
    const kept = byGrant.get(grant)
    if (kept) return kept
    const made = make(grant, null)
    byGrant.set(grant, made)
    return made
  }
}
