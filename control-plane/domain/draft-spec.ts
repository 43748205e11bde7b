import { declarations, labels, type Resource, resourceName, z } from '../../schema/config/index.ts'
import { fieldOf } from '../../schema/config/walk.ts'
import { type Kind, kinds } from '../../schema/handles.ts'
import { invalidInput, type UserError } from './errors.ts'

type Spec = Record<string, unknown>

const labelsShape = labels()
const common = new Set(['id', 'name', 'labels'])

/** The name and labels of an input, or why not. An absent name is an error: it is what finds the resource. */
export function parseName(input: Spec, path: string[], errors: UserError[]): string | undefined {
  const parsed = resourceName.safeParse(input.name ?? undefined)
  if (parsed.success) return parsed.data
  errors.push(...parsed.error.issues.flatMap((issue) => userErrorOf(issue, [...path, 'name'], 'resource')))
  return undefined
}

export function parseLabels(
  input: Spec,
  before: Resource | undefined,
  path: string[],
  errors: UserError[],
): Record<string, string> {
  if (input.labels === undefined) return before?.labels ?? {}
  const parsed = labelsShape.safeParse(input.labels ?? {})
  if (parsed.success) return parsed.data
  errors.push(...parsed.error.issues.flatMap((issue) => userErrorOf(issue, [...path, 'labels'], 'labels')))
  return {}
}

/**
 * The spec that an input asks for: a field left out keeps its value, null returns it to its default, a list is replaced whole.
 * Undefined, with every error of it told, where it is not valid. References are still as they were written.
 */
export function parseSpec(
  kind: Kind,
  input: Spec,
  before: Resource | undefined,
  path: string[],
  errors: UserError[],
): Spec | undefined {
  const { shape } = declarations[kind].spec
  const asked: Spec = {}
  for (const [field, type] of Object.entries(shape)) {
    const kept = (before?.spec as Spec | undefined)?.[field]
    const given = withoutNulls(type as z.ZodType, input[field])
    const { issued } = fieldOf(type as z.ZodType).meta
    if (input[field] === undefined || (issued && before && input[field] === null)) asked[field] = kept
    else asked[field] = given
    if (asked[field] === undefined) delete asked[field]
  }
  for (const field of Object.keys(input)) if (!common.has(field) && !(field in shape)) asked[field] = input[field]
  const parsed = declarations[kind].spec.safeParse(asked)
  if (parsed.success) return parsed.data
  errors.push(...parsed.error.issues.flatMap((issue) => userErrorOf(issue, path, kinds[kind].word)))
  return undefined
}

/** Null stands for the default wherever a field has one and cannot itself be null, at any depth. */
function withoutNulls(type: z.ZodType, value: unknown): unknown {
  const { type: inner, nullable, optional } = fieldOf(type)
  if (value === null) return optional || !nullable ? undefined : null
  if (inner instanceof z.ZodArray && Array.isArray(value))
    return value.map((item) => withoutNulls(inner.element as z.ZodType, item) ?? item)
  if (!(inner instanceof z.ZodObject) || typeof value !== 'object' || Array.isArray(value)) return value
  const entries = Object.entries(value as Spec).map(([field, part]): [string, unknown] => {
    const shape = Object.hasOwn(inner.shape, field) ? (inner.shape[field] as z.ZodType) : undefined
    return [field, shape ? withoutNulls(shape, part) : part]
  })
  return Object.fromEntries(entries.filter(([, part]) => part !== undefined))
}

/** One issue of zod's as an error of ours; unknown fields become one error each. */
function userErrorOf(issue: z.core.$ZodIssue, path: string[], what: string): UserError[] {
  const at = [...path, ...issue.path.map(String)]
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => invalidInput([...at, key], `is not a field of ${at.at(-1) ?? what}`))
  const missing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
  const expected = 'expected' in issue ? String(issue.expected) : null
  const options = issue.code === 'invalid_value' ? issue.values.map(String).join(', ') : null
  return [invalidInput(at, missing ? 'is required' : lowerFirst(issue.message), options ?? expected)]
}

const lowerFirst = (text: string) => text.slice(0, 1).toLowerCase() + text.slice(1)
