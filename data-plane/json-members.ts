/**
 * Where the members of a JSON object stand in its text, so that one value can be replaced and every other byte stays as the
 * client wrote it. Works before JSON.parse, whose time on absurd nesting (5 s for 30 MB of `[`) would stop the event loop.
 */
export interface Member {
  key: string
  /** Of the key's opening quote. */
  start: number
  valueStart: number
  /** Just behind the value. */
  end: number
}

export type MembersProblem = 'not_an_object' | 'broken' | 'too_deep' | 'too_many_values' | 'repeated_key'
export type Members = { members: Member[] } | { problem: MembersProblem; key?: string }

export const nestingMax = 128
/** Objects, lists and commas in one member. A chat of a million words has a few thousand; millions would stop the event loop. */
export const valuesMax = 250_000

enum Char {
  Quote = 34,
  Comma = 44,
  Colon = 58,
  OpenBracket = 91,
  Backslash = 92,
  CloseBracket = 93,
  OpenBrace = 123,
  CloseBrace = 125,
}

/**
 * Scans the top level of a JSON object. The result is only to be used once JSON.parse accepted the text too: the scan bounds
 * nesting and finds places, it does not check grammar. A key that stands twice is a problem, since readers differ in which
 * one they take.
 */
export function scanMembers(text: string): Members {
  let at = skipSpace(text, 0)
  if (text.charCodeAt(at) !== Char.OpenBrace) return { problem: 'not_an_object' }
  at = skipSpace(text, at + 1)
  const members: Member[] = []
  while (text.charCodeAt(at) === Char.Quote) {
    const start = at
    const keyEnd = skipString(text, at)
    at = skipSpace(text, keyEnd)
    if (keyEnd < 0 || text.charCodeAt(at) !== Char.Colon) return { problem: 'broken' }
    const valueStart = skipSpace(text, at + 1)
    const end = skipValue(text, valueStart)
    if (end === tooDeep) return { problem: 'too_deep' }
    if (end === tooMany) return { problem: 'too_many_values' }
    if (end <= valueStart) return { problem: 'broken' }
    const key = readKey(text, start, keyEnd)
    if (key === undefined) return { problem: 'broken' }
    if (members.some((member) => member.key === key)) return { problem: 'repeated_key', key }
    if (members.length === membersMax) return { problem: 'broken' }
    members.push({ key, start, valueStart, end })
    at = skipSpace(text, end)
    if (text.charCodeAt(at) !== Char.Comma) break
    at = skipSpace(text, at + 1)
  }
  return text.charCodeAt(at) === Char.CloseBrace ? { members } : { problem: 'broken' }
}

/** A request of any known API has some thirty members; the bound keeps the search for repeated keys small. */
const membersMax = 512
const tooDeep = -2
const tooMany = -3

function readKey(text: string, start: number, end: number): string | undefined {
  const raw = text.slice(start + 1, end - 1)
  if (!raw.includes('\\')) return raw
  try {
    return JSON.parse(text.slice(start, end))
  } catch {
    return undefined
  }
}

function skipSpace(text: string, at: number): number {
  let code = text.charCodeAt(at)
  while (code === 32 || code === 10 || code === 13 || code === 9) code = text.charCodeAt(++at)
  return at
}

/** Just behind a string's closing quote, or -1. */
function skipString(text: string, at: number): number {
  for (let end = text.indexOf('"', at + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let slashes = 0
    while (text.charCodeAt(end - 1 - slashes) === Char.Backslash) slashes++
    if (slashes % 2 === 0) return end + 1
  }
  return -1
}

/** Just behind a value, -1 where it never ends, `tooDeep` past the nesting bound. `count` goes on where it stands. */
function skipValue(text: string, start: number, count = { values: 0 }): number {
  let depth = 0
  for (let at = start; at < text.length; ) {
    const code = text.charCodeAt(at)
    if (code === Char.Quote) {
      at = skipString(text, at)
      if (at < 0) return -1
      if (depth === 0) return at
    } else if (code === Char.OpenBrace || code === Char.OpenBracket) {
      if (++depth > nestingMax) return tooDeep
      if (++count.values > valuesMax) return tooMany
      at++
    } else if (code === Char.CloseBrace || code === Char.CloseBracket) {
      if (depth === 0) return at
      at++
      if (--depth === 0) return at
    } else if (code === Char.Comma && depth === 0) {
      return trimEnd(text, start, at)
    } else {
      if (code === Char.Comma && ++count.values > valuesMax) return tooMany
      at++
    }
  }
  return -1
}

/** `areMonstrous` of one text. */
export const isMonstrous = (text: string): boolean => areMonstrous([text])

/**
 * True where texts, taken together, nest deeper than `nestingMax` or hold too many values, so that JSON.parse would stop the
 * event loop: what a provider wrote, or JSON within the strings of a client's body. Small texts cannot.
 */
export function areMonstrous(texts: readonly string[]): boolean {
  if (texts.reduce((sum, { length }) => sum + length, 0) < 64 * 1024) return false
  const count = { values: 0 }
  return texts.some((text) => {
    const end = skipValue(text, skipSpace(text, 0), count)
    return end === tooDeep || end === tooMany
  })
}

function trimEnd(text: string, start: number, end: number): number {
  while (end > start && text.charCodeAt(end - 1) <= 32) end--
  return end
}

/** New values by key, as JSON text. */
export type Edits = Record<string, string>

/** The text with some members' values replaced, added at the end where they are new, and nothing else touched. */
export function editMembers(text: string, members: Member[], edits: Edits): string {
  let out = ''
  let from = 0
  const added = new Set(Object.keys(edits))
  for (const member of members) {
    if (!added.delete(member.key)) continue
    out += text.slice(from, member.valueStart) + edits[member.key]
    from = member.end
  }
  if (added.size === 0) return out + text.slice(from)
  const close = text.lastIndexOf('}')
  const body = out + text.slice(from, close)
  const news = [...added].map((key) => `${JSON.stringify(key)}:${edits[key]}`).join(',')
  return `${body}${members.length > 0 ? ',' : ''}${news}${text.slice(close)}`
}
