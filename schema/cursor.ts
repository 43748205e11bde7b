/**
 * A position in a tenant's log: the number the sequencer gave, and for events that have no leaf of their own a `sub` after
 * it. Every stream, `spend` and every write's payload speak of the same positions, so a cursor from one resumes any other.
 */
export interface Position {
  number: number
  sub: number
}

/** Before everything. Numbers of the log begin at 0, so the start of it is -1. */
export const logStart: Position = { number: -1, sub: 0 }

/** Opaque to clients; only the server orders cursors. */
export function encodeCursor(position: Position): string {
  return Buffer.from(`1.${position.number}.${position.sub}`).toString('base64url')
}

const written = /^1\.(-1|\d{1,15})\.(\d{1,15})$/

/** The position a cursor stands for; undefined where it is not one of ours. */
export function decodeCursor(cursor: string): Position | undefined {
  if (cursor.length > 64) return undefined
  const match = written.exec(Buffer.from(cursor, 'base64url').toString())
  return match ? { number: Number(match[1]), sub: Number(match[2]) } : undefined
}

/** Negative where `a` is earlier than `b`. */
export function comparePositions(a: Position, b: Position): number {
  return a.number - b.number || a.sub - b.sub
}

/** True where `a` is later than `b`. */
export const isAfter = (a: Position, b: Position): boolean => comparePositions(a, b) > 0

/** Cursor of a list: the sort values of its last row, such as a time and an id. */
export function encodeKeyset(values: (string | number)[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url')
}

/** The sort values of a list's cursor, `length` of them; undefined where it is not one of ours. */
export function decodeKeyset(cursor: string, length: number): (string | number)[] | undefined {
  if (cursor.length > 1_000) return undefined
  try {
    const values: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    if (!Array.isArray(values) || values.length !== length) return undefined
    return values.every((value) => typeof value === 'string' || typeof value === 'number') ? values : undefined
  } catch {
    return undefined
  }
}
