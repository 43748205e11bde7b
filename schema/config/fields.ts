import { z } from 'zod'
import { formatDuration, parseDuration } from '../duration.ts'
import { type Kind, kinds } from '../handles.ts'
import { formatAmount, parseAmount } from '../money.ts'

/**
 * What a field of a declared resource may be. Each carries the name of its GraphQL type, so that the API's inputs, the JSON
 * Schema of config files and the check of what is stored come from one declaration.
 */
export interface FieldMeta {
  graphql?: string
  /** Kinds that a reference may name. */
  ref?: readonly Kind[]
  /** Set when the resource is issued; `apply` cannot change it. */
  issued?: boolean
  /** A reference that may also be a declared request label: `label/case=summary`. */
  labelScope?: boolean
  /** An object of which exactly one member is given. */
  oneOf?: boolean
}

declare module 'zod' {
  interface GlobalMeta extends FieldMeta {}
}

/** A reference: given as id or handle, stored as id. */
export const ref = (...to: Kind[]) =>
  z
    .string()
    .min(1)
    .max(300)
    .meta({
      graphql: 'Ref',
      ref: to,
      description: `${to.map((kind) => `${kinds[kind].word}/…`).join(' or ')}, or an id`,
    })

const scopes = ['tenant', 'team', 'project', 'principal', 'apiKey', 'provider', 'model', 'tier'] as const

const scopeOf = (to: readonly Kind[]) =>
  z
    .string()
    .min(1)
    .max(400)
    .meta({
      graphql: 'Ref',
      ref: to,
      labelScope: true,
      description: `${to.map((kind) => `${kinds[kind].word}/…`).join(', ')}, an id, label/KEY or label/KEY=VALUE`,
    })

/** What a policy attaches to: a resource, or the requests that carry a label. */
export const scope = () => scopeOf(scopes)

/** What a rate limit attaches to: also what a provider's own limits are for. */
export const limitScope = () => scopeOf([...scopes, 'credential'])

export const text = (charactersMax = 2_000) => z.string().max(charactersMax).meta({ graphql: 'String' })

export const flag = () => z.boolean().meta({ graphql: 'Boolean' })

export const int = (least: number, most: number) => z.int().min(least).max(most).meta({ graphql: 'Int' })

export const safeInt = (least = 0, most = Number.MAX_SAFE_INTEGER) =>
  z.int().min(least).max(most).meta({ graphql: 'SafeInt' })

/** Stored as ISO 8601; `leastMs` and `mostMs` bound it. */
export const duration = (leastMs: number, mostMs: number) =>
  z
    .string()
    .max(40)
    .transform((value, context) => {
      const ms = parseDuration(value)
      if (ms !== undefined && ms >= leastMs && ms <= mostMs) return formatDuration(ms)
      context.addIssue({
        code: 'custom',
        message: `must be a duration from ${formatDuration(leastMs)} to ${formatDuration(mostMs)}, such as 90s, 15m or PT1H`,
      })
      return z.NEVER
    })
    .meta({ graphql: 'Duration' })

/** Stored as the shortest exact decimal. */
export const decimal = () =>
  z
    .string()
    .max(40)
    .transform((value, context) => {
      const amount = parseAmount(value)
      if (amount !== undefined) return formatAmount(amount)
      context.addIssue({
        code: 'custom',
        message: 'must be a decimal in quotes with at most 12 digits after the point, such as "0.15"',
      })
      return z.NEVER
    })
    .meta({ graphql: 'Decimal' })

export const currency = () =>
  z
    .string()
    .regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code such as USD')
    .meta({ graphql: 'Currency' })

export const dateTime = () =>
  z
    .string()
    .max(40)
    .transform((value, context) => {
      const at = /^\d{4}-\d{2}-\d{2}(T[\d:.]+(Z|[+-]\d{2}:\d{2}))?$/.test(value) ? Date.parse(value) : Number.NaN
      if (!Number.isNaN(at)) return new Date(at).toISOString()
      context.addIssue({ code: 'custom', message: 'must be an RFC 3339 instant such as 2026-01-31T00:00:00Z' })
      return z.NEVER
    })
    .meta({ graphql: 'DateTime' })

const labelKey = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/

/** Free key/value pairs: at most 64, keys as in `team.example/cost-center`, values up to 256 characters. */
export const labels = () =>
  z
    .record(z.string().regex(labelKey, 'label keys hold letters, digits and . _ / -'), z.string().max(256))
    .refine((value) => Object.keys(value).length <= 64, 'at most 64 labels')
    .meta({ graphql: 'Labels' })

/** HTTP headers, as name and value; the value holds no secret, since a Credential does. */
export const headers = () =>
  z
    .record(
      z.string().regex(/^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/, 'header names are lower case'),
      z
        .string()
        .max(2_000)
        .regex(/^[\t\x20-\x7e]*$/, 'header values are printable ASCII'),
    )
    .refine((value) => Object.keys(value).length <= 32, 'at most 32 headers')
    .meta({ graphql: 'Labels' })

/** One of a GraphQL enum's values. */
export const oneOf = <const Values extends readonly [string, ...string[]]>(graphql: string, values: Values) =>
  z.enum(values).meta({ graphql })

/** An object that is its own GraphQL input type. */
export const input = <Shape extends z.ZodRawShape>(graphql: string, shape: Shape) =>
  z.strictObject(shape).meta({ graphql })

/** An object with exactly one of its members. */
export const oneOfInput = <Shape extends Record<string, z.ZodType>>(graphql: string, shape: Shape) => {
  const members = Object.fromEntries(Object.entries(shape).map(([name, type]) => [name, type.optional()]))
  return z
    .strictObject(members as { [Name in keyof Shape]: z.ZodOptional<Shape[Name]> })
    .refine((value) => Object.values(value).filter((member) => member !== undefined).length === 1, {
      error: `holds exactly one of ${Object.keys(shape).join(', ')}`,
    })
    .meta({ graphql, oneOf: true })
}

/** An exact amount in one currency. */
export const money = () => input('MoneyInput', { amount: decimal(), currency: currency() })

export const list = <Item extends z.ZodType>(item: Item, itemsMax = 1_000) => z.array(item).max(itemsMax)

export { z }

/** A region as a provider names it: `eu-central-1`, `westeurope`. Compared as it is written; it becomes part of host names. */
export const region = () =>
  z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/, 'must be a region as its provider names it, such as eu-central-1')
    .meta({ graphql: 'String' })
