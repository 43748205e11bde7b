import { isRefusal, type Refusal, refuse } from '../../../schema/refusals.ts'
import { type ReadBody, readBody } from '../admission.ts'
import type { Json } from '../json.ts'

/**
 * Google reads a member by its camelCase name and by its snake_case one alike (protobuf's JSON form). Here everything is looked
 * at under its camelCase name; the client's own text keeps the names it has.
 */
export function camelName(name: string): string {
  return name.includes('_') ? name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase()) : name
}

const snakeName = (name: string) => name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

/** The object's own members under camelCase names, not those below. Of two with one meaning the first counts. */
export function camel(value: unknown): Json {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return {}
  const keys = Object.keys(value)
  if (!keys.some((key) => key.includes('_'))) return value
  const members: Json = {}
  for (const key of keys) members[camelName(key)] ??= (value as Json)[key]
  return members
}

/** An object of a client's with the names that count, by their camelCase, and how each is written. */
export interface ProtoBody extends ReadBody {
  /** Members under camelCase names. */
  body: Json
  /** How the client wrote a name; the camelCase name itself where it did not. */
  spelling(name: string): string
}

/**
 * Reads an object whose members `own` decide what is asked and what it costs: each may stand once, by one of its two names.
 * `at` is the path of the object in the body; empty for the body itself.
 */
export function readProtoBody(text: string, own: readonly string[], at = ''): ProtoBody | Refusal {
  const read = readBody(text, at)
  if (isRefusal(read)) return read
  const prefix = at && `${at}.`
  const written = new Map<string, string>()
  const byLetters = new Map(own.map((name) => [name.toLowerCase(), name]))
  for (const { key } of read.members) {
    const name = byLetters.get(key.replaceAll('_', '').toLowerCase())
    if (name === undefined) continue
    if (key !== name && key !== snakeName(name)) return wrong(`'${prefix}${key}' must be written '${name}'.`, key)
    const other = written.get(name)
    if (other !== undefined)
      return wrong(`The body holds '${prefix}${other}' and '${prefix}${key}', which are one.`, key)
    written.set(name, key)
  }
  return { ...read, body: camel(read.body), spelling: (name) => written.get(name) ?? name }
}

const wrong = (detail: string, param: string) => refuse('malformed_request', detail, param)
