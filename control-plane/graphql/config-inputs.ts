import type { EnumRef, InputFieldBuilder, InputRef } from '@pothos/core'
import { type FieldMeta, z } from '../../schema/config/fields.ts'
import { declarations } from '../../schema/config/index.ts'
import { type Field, fieldOf } from '../../schema/config/walk.ts'
import { type Kind, kindList, kinds } from '../../schema/handles.ts'
import { builder, type Types } from './builder.ts'

/**
 * GraphQL's enums and input types for declared resources, made from the declarations in schema/config: what may be sent, the
 * JSON Schema of files and the check of what is stored have one source.
 */
type AnyEnum = EnumRef<Types, string, string>
type Inputs = InputFieldBuilder<Types, 'InputObject'>

const enums = new Map<string, AnyEnum>()
const inputs = new Map<string, InputRef<object>>()

/** The enum of that name, for output types too. */
export function configEnum(name: string): AnyEnum {
  const found = enums.get(name)
  if (!found) throw new Error(`No declaration in schema/config holds an enum ${name}.`)
  return found
}

/** The input object of that name, for mutations that take the same shape. */
export function configInput(name: string): InputRef<object> {
  const found = inputs.get(name)
  if (!found) throw new Error(`No declaration in schema/config holds an input ${name}.`)
  return found
}

for (const kind of kindList) collect(declarations[kind].spec)

export const resourceInput = builder
  .inputRef<Partial<Record<Kind, Record<string, unknown>>>>('ResourceInput')
  .implement({
    description:
      'Exactly one kind. A field left out keeps its value; null returns it to its default. The name finds the resource; ' +
      'with `id` the id does, and a different `name` renames it. apiKey and dataPlane change what already exists; only ' +
      'apiKeyIssue and dataPlaneEnroll create.',
    isOneOf: true,
    fields: ((t: Inputs) =>
      Object.fromEntries(kindList.map((kind) => [kind, t.field({ type: kindInput(kind) })]))) as never,
  })

/** Every field of a kind that `apply` may set. Only the name is required: what is left out keeps its value. */
function kindInput(kind: Kind): InputRef<object> {
  const { spec, description } = declarations[kind]
  const fields = Object.entries(spec.shape)
    .map(([name, type]) => [name, fieldOf(type as z.ZodType)] as const)
    .filter(([, field]) => !field.meta.issued)
  return builder.inputRef<object>(`${kinds[kind].type}Input`).implement({
    description,
    fields: ((t: Inputs) => ({
      id: t.id(),
      name: t.string({ required: true }),
      labels: t.field({ type: 'Labels' }),
      ...Object.fromEntries(fields.map(([name, field]) => [name, inputField(t, field, false)])),
    })) as never,
  })
}

/** Walks a declared object and makes the enums and input objects it holds, each once. */
function collect(type: z.ZodType): void {
  const { type: inner, meta } = fieldOf(type)
  if (inner instanceof z.ZodArray) collect(inner.element as z.ZodType)
  else if (inner instanceof z.ZodEnum) makeEnum(meta.graphql!, inner.options as string[])
  else if (inner instanceof z.ZodObject) {
    for (const field of Object.values(inner.shape)) collect(field as z.ZodType)
    if (meta.graphql && !inputs.has(meta.graphql)) makeInput(meta.graphql, inner, meta)
  }
}

function makeEnum(name: string, values: string[]): void {
  if (!enums.has(name)) enums.set(name, builder.enumType(name, { values }) as unknown as AnyEnum)
}

function makeInput(name: string, object: z.ZodObject, meta: FieldMeta): void {
  const fields = Object.entries(object.shape).map(([key, type]) => [key, fieldOf(type as z.ZodType)] as const)
  const ref = builder.inputRef<object>(name).implement({
    description: descriptionOf({ meta }),
    ...(meta.oneOf && { isOneOf: true }),
    fields: ((t: Inputs) =>
      Object.fromEntries(
        fields.map(([key, field]) => [key, inputField(t, field, !field.optional && !field.nullable)]),
      )) as never,
  })
  inputs.set(name, ref)
}

function inputField(t: Inputs, field: Field, required: boolean) {
  const isList = field.type instanceof z.ZodArray
  const item = isList ? fieldOf((field.type as z.ZodArray).element as z.ZodType) : field
  const type = graphqlType(item)
  return t.field({
    type: (isList ? [type] : type) as never,
    required: (isList ? { list: required, items: true } : required) as never,
    description: descriptionOf(field),
  })
}

/** The type a leaf was declared with. A declaration that names none is a mistake and stops the start. */
function graphqlType({ meta, type }: Field): unknown {
  const name = meta.graphql
  if (!name) throw new Error(`A field of schema/config names no GraphQL type (${type.constructor.name}).`)
  return inputs.get(name) ?? enums.get(name) ?? name
}

/** zod keeps a description beside what we declare of a field. */
function descriptionOf({ meta }: Pick<Field, 'meta'>): string | undefined {
  return (meta as { description?: string }).description
}
