import { type Refusal, refuse } from '../../schema/refusals.ts'
import { type Member, nestingMax, scanMembers, valuesMax } from '../json-members.ts'
import { isObject, type Json } from './json.ts'

/** A client's body: its text, where its members stand in it, and what JSON.parse makes of it. */
export interface ReadBody {
  text: string
  members: Member[]
  body: Json
}

/** Reads a body that must be one JSON object; `at` names the member whose text it is, where it is not the whole body. */
export function readBody(text: string, at?: string): ReadBody | Refusal {
  const scanned = scanMembers(text)
  if ('problem' in scanned) {
    const [detail, key] = problemSentence(scanned.problem, at, scanned.key)
    return refuse('malformed_request', detail, key ?? at)
  }
  try {
    return { text, members: scanned.members, body: JSON.parse(text) }
  } catch {
    return refuse('malformed_request', 'The body is not valid JSON.')
  }
}

function problemSentence(problem: string, at: string | undefined, key?: string): [string, string?] {
  const what = at ? `'${at}'` : 'The body'
  if (problem === 'too_deep') return [`${what} is nested deeper than ${nestingMax} levels.`]
  if (problem === 'too_many_values') return [`${what} holds more than ${valuesMax} values.`]
  if (problem === 'repeated_key') return [`${what} holds '${key}' twice.`, at ? `${at}.${key}` : key]
  if (problem === 'not_an_object') return [`${what} must be a JSON object.`]
  return [`${what} is not valid JSON.`]
}

/** Some servers take `Model` for `model`: what they would read must be what was admitted. `own` are the lower-case names. */
export function refuseLookalike(members: readonly Member[], own: ReadonlySet<string>): Refusal | undefined {
  const found = members.find(({ key }) => !own.has(key) && own.has(key.toLowerCase()))
  return found && refuse('malformed_request', `'${found.key}' must be written '${found.key.toLowerCase()}'.`, found.key)
}

/** A field that is not what the protocol has. */
export function wrongField(param: string, must: string): Refusal {
  return refuse('malformed_request', `'${param}' ${must}.`, param)
}

/** A body that names no model, where the path does not name it, as Azure's deployments do. */
export function wrongModel(body: Json, named?: string): Refusal | undefined {
  if (named !== undefined || (typeof body.model === 'string' && body.model !== '')) return undefined
  return wrongField('model', 'must name a model')
}

/** The first of these counts that is none, or larger than its bound. */
export function wrongCount(body: Json, mostOf: Readonly<Record<string, number>>): Refusal | undefined {
  for (const [field, most] of Object.entries(mostOf)) {
    const count = body[field]
    const holds = count == null || (Number.isSafeInteger(count) && count > 0 && count <= most)
    if (!holds) return wrongField(field, `must be a whole number from 1 to ${most}`)
  }
  return undefined
}

/** Types that fields may be declared to have, and what a refusal says of them. */
const fieldTypes = {
  number: [(value: unknown) => Number.isFinite(value), 'must be a number'],
  boolean: [(value: unknown) => typeof value === 'boolean', 'must be true or false'],
  text: [(value: unknown) => typeof value === 'string', 'must be a text'],
  texts: [
    (value: unknown) => [value].flat().every((one) => typeof one === 'string'),
    'must be a text or a list of texts',
  ],
  object: [isObject, 'must be an object'],
} as const

export type FieldTypes = Partial<Record<keyof typeof fieldTypes, readonly string[]>>

/** The first field of another type than the protocol gives it: to leave it out in silence would change the request. */
export function wrongType(object: unknown, types: FieldTypes, prefix = ''): Refusal | undefined {
  if (!isObject(object)) return undefined
  for (const [type, names] of Object.entries(types) as [keyof typeof fieldTypes, readonly string[]][]) {
    const [holds, must] = fieldTypes[type]
    const wrong = names.find((name) => object[name] != null && !holds(object[name]))
    if (wrong !== undefined) return wrongField(prefix + wrong, must)
  }
  return undefined
}
