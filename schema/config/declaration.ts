import type { Kind } from '../handles.ts'
import type { z } from './fields.ts'

/** What one kind of resource is: its fields with their defaults, and the rules that hold between them. */
export interface Declaration<Shape extends z.ZodRawShape = z.ZodRawShape> {
  kind: Kind
  description: string
  spec: z.ZodObject<Shape, z.core.$strict>
  /** Rules over several fields; each issue says where and what. Runs after every field is valid on its own. */
  rules?: (spec: z.output<z.ZodObject<Shape>>) => RuleIssue[]
  /** Fields that may be given only when the resource is created. */
  fixed?: readonly (keyof Shape & string)[]
}

export interface RuleIssue {
  path: (string | number)[]
  message: string
}

/** Declares one kind; a function only so that the spec's type is inferred. */
export const declare = <Shape extends z.ZodRawShape>(declaration: Declaration<Shape>) => declaration

/** The stored fields of a kind, as `apply` leaves them. */
export type SpecOf<D> = D extends { spec: infer S extends z.ZodType } ? z.output<S> : never
