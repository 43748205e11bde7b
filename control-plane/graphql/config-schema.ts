import type { FieldMeta } from '../../schema/config/fields.ts'
import { declarations, labels, resourceName, z } from '../../schema/config/index.ts'
import { fieldOf } from '../../schema/config/walk.ts'
import { type Kind, kindList, kinds } from '../../schema/handles.ts'

const ours = ['graphql', 'ref', 'issued', 'labelScope', 'oneOf']

/**
 * JSON Schema of the config file, for editors: of one kind's document, or of any. A document says `kind: Project`, `name`,
 * `labels` and the fields of the API's input; where a kind has a field that is itself called `kind`, the file names it by its
 * type: `principalKind`.
 */
export function configSchema(kind?: Kind | null): Record<string, unknown> {
  const $schema = 'https://json-schema.org/draft/2020-12/schema'
  if (kind) return { $schema, ...documentSchema(kind) }
  return { $schema, title: 'Sluice configuration', oneOf: kindList.map(documentSchema) }
}

function documentSchema(kind: Kind): Record<string, unknown> {
  const { spec, description } = declarations[kind]
  const fields = Object.entries({ labels: labels().default({}), ...spec.shape })
    .map(([name, type]) => ({ name, type: type as z.ZodType, field: fieldOf(type as z.ZodType) }))
    .filter(({ field }) => !field.meta.issued)
    .map(({ name, type, field }) => {
      const key = name === 'kind' ? lowerFirst(field.meta.graphql!) : name
      // Null says the same as leaving the field out: its default.
      return [key, field.optional || field.nullable ? type.nullable().optional() : type] as const
    })
  const document = z.strictObject({
    kind: z.literal(kinds[kind].type),
    name: resourceName,
    ...Object.fromEntries(fields),
  })
  const { $schema: _, ...schema } = z.toJSONSchema(document, {
    io: 'input',
    unrepresentable: 'any',
    // What we say of a field for ourselves is no JSON Schema keyword.
    override: ({ jsonSchema }) => {
      if ((jsonSchema as FieldMeta).oneOf) Object.assign(jsonSchema, { minProperties: 1, maxProperties: 1 })
      for (const key of ours) delete (jsonSchema as Record<string, unknown>)[key]
    },
  }) as Record<string, unknown>
  return { title: kinds[kind].type, description, ...schema }
}

const lowerFirst = (text: string) => text[0]!.toLowerCase() + text.slice(1)
