import { GraphQLError, type ValueNode, valueFromASTUntyped } from 'graphql'

/**
 * Scalars check only what kind of value they are given. What a Duration, Decimal or DateTime may say is checked where the
 * field is declared (schema/config), so that `apply` can answer every mistake at once, with paths.
 */
export const charactersMax = 1_000

export function textScalar(name: string, description: string) {
  const parse = (value: unknown) => {
    if (typeof value === 'string' && value.length <= charactersMax) return value
    throw new GraphQLError(`${name} is a string of at most ${charactersMax} characters.`)
  }
  return {
    name,
    description,
    serialize: (value: unknown) => String(value),
    parseValue: parse,
    parseLiteral: literal(parse),
  }
}

/** An instant; answered as RFC 3339 in UTC with milliseconds. */
export const dateTime = {
  ...textScalar('DateTime', 'RFC 3339 instant, always UTC.'),
  serialize: (value: unknown) => new Date(value as string | number | Date).toISOString(),
}

const asSafeInt = (value: unknown) => {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw new GraphQLError('SafeInt is a whole number up to 2^53-1.')
}

export const safeInt = {
  name: 'SafeInt',
  description: 'Integer up to 2^53-1, as a JSON number. Token and request counts.',
  serialize: (value: unknown) => asSafeInt(typeof value === 'bigint' ? Number(value) : value),
  parseValue: asSafeInt,
  parseLiteral: literal((value) => asSafeInt(typeof value === 'string' ? Number.NaN : value)),
}

const asLabels = (value: unknown) => {
  const entries =
    value !== null && typeof value === 'object' && !Array.isArray(value) ? Object.entries(value) : undefined
  if (!entries || entries.some(([, text]) => typeof text !== 'string'))
    throw new GraphQLError('Labels is an object whose values are strings.')
  if (entries.length > 100) throw new GraphQLError('Labels holds at most 100 keys.')
  return Object.fromEntries(entries) as Record<string, string>
}

export const labels = {
  name: 'Labels',
  description:
    'Key/value labels; values are strings. On resources: free, for grouping and prune. On requests: declared keys only.',
  serialize: (value: unknown) => value,
  parseValue: asLabels,
  parseLiteral: literal(asLabels),
}

export const jsonSchema = {
  name: 'JSONSchema',
  description: 'A JSON Schema document.',
  serialize: (value: unknown) => value,
  parseValue: (): never => {
    throw new GraphQLError('JSONSchema is only answered.')
  },
  parseLiteral: (): never => {
    throw new GraphQLError('JSONSchema is only answered.')
  },
}

/** A literal in the document is read like a variable. */
function literal<Value>(parse: (value: unknown) => Value) {
  return (node: ValueNode, variables?: Record<string, unknown> | null) => parse(valueFromASTUntyped(node, variables))
}
