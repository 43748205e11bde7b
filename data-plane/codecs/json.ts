/** An object that somebody else wrote, of which nothing is known yet: who reads a member checks it. */
// biome-ignore lint/suspicious/noExplicitAny: the narrowing of every member by hand would bury what a codec says
export type Json = Record<string, any>

/** A text that somebody else wrote; empty where it is none. `String` would run what an object of theirs is called by. */
export const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

export const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** What a table says of a name that somebody else chose: `constructor` and its like are in no table. */
export function entryOf<T>(table: Readonly<Record<string, T>>, name: unknown): T | undefined {
  return typeof name === 'string' && Object.hasOwn(table, name) ? table[name] : undefined
}
