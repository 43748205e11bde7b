import { declarations, labels, resourceName, z } from '../../schema/config/index.ts'
import { type Field, fieldOf } from '../../schema/config/walk.ts'
import { type Kind, kindList, kinds } from '../../schema/handles.ts'

/**
 * The config file's form: documents that each say `kind: Project`, `name`, `labels` and the fields of the API's input. Where a
 * kind has a field that is itself called `kind`, the file names it by its type: `principalKind`, `credentialKind`.
 */
export interface DocumentField {
  /** In the file. */
  key: string
  /** In the API's input. */
  name: string
  /** As declared, with its default. */
  type: z.ZodType
  field: Field
}

const shared: DocumentField[] = [
  { key: 'labels', name: 'labels', type: labels().default({}), field: fieldOf(labels().default({})) },
]

const fieldsByKind = new Map<Kind, readonly DocumentField[]>(
  kindList.map((kind) => [kind, [...shared, ...ownFields(kind)]]),
)

/** What a document of a kind may hold beside `kind` and `name`, in the order it is written. */
export function documentFields(kind: Kind): readonly DocumentField[] {
  return fieldsByKind.get(kind)!
}

function ownFields(kind: Kind): DocumentField[] {
  return Object.entries(declarations[kind].spec.shape)
    .map(([name, type]) => ({ name, type: type as z.ZodType, field: fieldOf(type as z.ZodType) }))
    .filter(({ field }) => !field.meta.issued)
    .map((found) => ({ ...found, key: found.name === 'kind' ? lowerFirst(found.field.meta.graphql!) : found.name }))
}

function lowerFirst(text: string): string {
  return text[0]!.toLowerCase() + text.slice(1)
}

/** JSON Schema of config files, for editors: of one kind's document, or of any document. */
export function fileSchema(kind?: Kind): Record<string, unknown> {
  const $schema = 'https://json-schema.org/draft/2020-12/schema'
  if (kind) return { $schema, ...documentSchema(kind) }
  return { $schema, title: 'Sluice configuration', oneOf: kindList.map(documentSchema) }
}

const ours = ['graphql', 'ref', 'issued']

function documentSchema(kind: Kind): Record<string, unknown> {
  const fields = documentFields(kind).map(({ key, type, field }) => {
    const optional = field.optional || field.nullable
    // Null says the same as leaving the field out: its default.
    return [key, optional ? type.nullable().optional() : type] as const
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
      for (const key of ours) delete (jsonSchema as Record<string, unknown>)[key]
    },
  }) as Record<string, unknown>
  return { title: kinds[kind].type, description: declarations[kind].description, ...schema }
}
