import type { RunningAlias } from './running.ts'

/** Finds aliases by name: exact names in one map, prefixes in another that is asked longest first. */
export function indexAliases(aliases: readonly RunningAlias[]): (name: string) => RunningAlias | undefined {
  const exact = new Map<string, RunningAlias>()
  const prefixes = new Map<string, RunningAlias>()
  for (const alias of aliases)
    if (alias.prefix === null) exact.set(alias.name, alias)
    else prefixes.set(alias.prefix, alias)
  // Few lengths, however many prefixes: a lookup is one slice per length.
  const lengths = [...new Set([...prefixes.keys()].map((prefix) => prefix.length))].sort((a, b) => b - a)
  return (name) => {
    const found = exact.get(name)
    if (found) return found
    for (const length of lengths) {
      if (length > name.length) continue
      const byPrefix = prefixes.get(name.slice(0, length))
      if (byPrefix) return byPrefix
    }
    return undefined
  }
}
