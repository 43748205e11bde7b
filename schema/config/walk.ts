import { isLabelScope, type Kind } from '../handles.ts'
import type { FieldMeta } from './fields.ts'
import { z } from './fields.ts'

/** A field without what wraps it: its inner type, and whether it may be null or left out. */
export interface Field {
  type: z.ZodType
  meta: FieldMeta
  nullable: boolean
  optional: boolean
}

/** Unwraps defaults, nullability and optionality of a zod field, gathering what was said of it on the way. */
export function fieldOf(type: z.ZodType): Field {
  let inner = type
  let meta: FieldMeta = type.meta() ?? {}
  let nullable = false
  let optional = false
  while (inner instanceof z.ZodDefault || inner instanceof z.ZodNullable || inner instanceof z.ZodOptional) {
    if (inner instanceof z.ZodNullable) nullable = true
    else optional = true
    inner = inner.unwrap() as z.ZodType
    meta = { ...(inner.meta() ?? {}), ...meta }
  }
  return { type: inner, meta, nullable, optional }
}

/** One reference in a spec: where it stands, what it says, what kinds it may name, and how to replace it. */
export interface FoundReference {
  path: (string | number)[]
  value: string
  kinds: readonly Kind[]
  /** It may also be a request label. */
  labelScope: boolean
  replace: (id: string) => void
}

/** Every reference that a spec holds, found by its declaration; a label is none. Replacing writes into the spec itself. */
export function findReferences(shape: z.ZodRawShape, spec: Record<string, unknown>): FoundReference[] {
  const found: FoundReference[] = []
  const visit = (
    type: z.ZodType,
    holder: Record<string | number, unknown>,
    key: string | number,
    path: (string | number)[],
  ) => {
    const value = holder[key]
    if (value === null || value === undefined) return
    const { type: inner, meta } = fieldOf(type)
    if (meta.labelScope && isLabelScope(value)) return
    if (meta.ref && typeof value === 'string') {
      const labelScope = meta.labelScope === true
      found.push({ path, value, kinds: meta.ref, labelScope, replace: (id) => (holder[key] = id) })
    } else if (inner instanceof z.ZodArray && Array.isArray(value)) {
      for (const index of value.keys()) visit(inner.element as z.ZodType, value as never, index, [...path, index])
    } else if (inner instanceof z.ZodObject) {
      for (const [name, field] of Object.entries(inner.shape))
        visit(field as z.ZodType, value as never, name, [...path, name])
    }
  }
  for (const [name, field] of Object.entries(shape)) visit(field as z.ZodType, spec, name, [name])
  return found
}
