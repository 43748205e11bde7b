import { declarations, labels, type z } from '../../schema/config/index.ts'
import { type Field, fieldOf } from '../../schema/config/walk.ts'
import { type Kind, kindList } from '../../schema/handles.ts'

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
