import type { Json } from '../json.ts'
import { camel } from './names.ts'

/** Members of Google's Schema that JSON Schema has under the same name (Gemini API reference, Schema). */
const same = ['title', 'description', 'format', 'pattern', 'enum', 'required', 'minimum', 'maximum', 'default']
/** Counts, which protobuf's JSON form may write as texts. */
const counts = ['minItems', 'maxItems', 'minProperties', 'maxProperties', 'minLength', 'maxLength']
const nestingMax = 64

/**
 * Google's Schema, a selection of OpenAPI's, as JSON Schema: types in lower case, `nullable` as a type beside. The other way
 * there is nothing to do, since Gemini takes JSON Schema too (`parametersJsonSchema`, `responseJsonSchema`).
 */
export function jsonSchemaOf(value: unknown, depth = 0): Json {
  const given = camel(value)
  if (depth > nestingMax) return {}
  const schema: Json = {}
  if (typeof given.type === 'string' && given.type !== 'TYPE_UNSPECIFIED') schema.type = typeOf(given)
  for (const name of same) if (given[name] != null) schema[name] = given[name]
  for (const name of counts) if (/^(number|string)$/.test(typeof given[name])) schema[name] = Number(given[name])
  if (given.properties) schema.properties = mapped(given.properties, depth)
  if (given.items) schema.items = jsonSchemaOf(given.items, depth + 1)
  if (Array.isArray(given.anyOf)) schema.anyOf = given.anyOf.map((one: unknown) => jsonSchemaOf(one, depth + 1))
  if (given.example !== undefined) schema.examples = [given.example]
  if (given.nullable === true && Array.isArray(schema.enum)) schema.enum = [...schema.enum, null]
  return schema
}

function typeOf({ type, nullable }: Json): string | string[] {
  const name = type.toLowerCase()
  return nullable === true ? [name, 'null'] : name
}

function mapped(properties: unknown, depth: number): Json {
  if (typeof properties !== 'object' || properties === null) return {}
  return Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, jsonSchemaOf(one, depth + 1)]))
}
