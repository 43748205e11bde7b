import { handleOf, type Kind, parseRef } from '../../schema/handles.ts'

/** What people type for a resource whose kind is clear: `checkout`, `project/checkout` or an id, as a Ref. */
export function refOf(kind: Kind, typed: string): string {
  const parsed = parseRef(typed)
  return parsed?.kind === kind ? typed : handleOf(kind, typed)
}

/** `a=b,c=d` as labels; a sentence where it is none. */
export function readLabels(typed: string): Record<string, string> | { wrong: string } {
  const pairs = typed
    .split(',')
    .map((pair) => pair.trim())
    .filter(Boolean)
  if (pairs.length === 0 || pairs.some((pair) => pair.indexOf('=') < 1))
    return { wrong: `${JSON.stringify(typed)} is not label=value` }
  return Object.fromEntries(pairs.map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]))
}
