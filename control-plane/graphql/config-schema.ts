import { declarations } from '../../schema/config/index.ts'
import { labels, resourceName, z } from '../../schema/config/index.ts'
import { fieldOf } from '../../schema/config/walk.ts'
import { type Kind, kindList, kinds } from '../../schema/handles.ts'

const own = ['graphql', 'ref', 'issued']

/** JSON Schema of one document of a config file: `kind: Project`, the name, labels, and the kind's fields. */
function documentSchema(kind: Kind): Record<string, unknown> {
  const { spec, description } = declarations[kind]
  const settable = Object.entries(spec.partial().shape).filter(([, field]) => !fieldOf(field as z.ZodType).meta.issued)
  const document = z.strictObject({
    kind: z.literal(kinds[kind].type),
    name: resourceName,
    labels: labels().optional(),
    ...Object.fromEntries(settable),
  })
  const schema = z.toJSONSchema(document, {
    io: 'input',
    unrepresentable: 'any',
    // What we say of a field for ourselves is no JSON Schema keyword.
    override: ({ jsonSchema }) => {
      for (const key of own) delete (jsonSchema as Record<string, unknown>)[key]
    },
  }) as Record<string, unknown>
  delete schema.$schema
  return { ...schema, title: kinds[kind].type, description }
}

/**
 * JSON Schema of the config file, for editors: of one kind, or of any document a file may hold. Made from the same
 * declarations as the API's inputs, so a file that fits is an input that fits.
 */
export function configSchema(kind?: Kind | null): Record<string, unknown> {
  const $schema = 'https://json-schema.org/draft/2020-12/schema'
  if (kind) return { $schema, ...documentSchema(kind) }
  return { $schema, title: 'Sluice configuration', oneOf: kindList.map(documentSchema) }
}
