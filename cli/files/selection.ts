import { declarations, z } from '../../schema/config/index.ts'
import { fieldOf } from '../../schema/config/walk.ts'
import { type Kind, kinds } from '../../schema/handles.ts'
import { documentFields } from './document.ts'

/** Members are a connection in the API, and a plain list in files and inputs. */
const isConnection = (kind: Kind, name: string) => name === 'members' && 'members' in declarations[kind].spec.shape

/** Resources of a page; a list of members costs what a page of it may hold. */
export const pageSize = 50
export const membersPageSize = 100

const members = `members(first: ${membersPageSize}) { nodes { principal { handle } role } pageInfo { hasNextPage endCursor } }`

/** A query for one page of a kind with every field that its document holds, made from its declaration. */
export function pageQuery(kind: Kind): string {
  const fields = documentFields(kind).map(({ name, type }) =>
    isConnection(kind, name) ? members : `${name}${inner(type)}`,
  )
  return `query Page($after: Cursor, $labels: Labels) {
  tenant {
    configRevision
    resources(kinds: [${kinds[kind].enum}], labels: $labels, first: ${pageSize}, after: $after) {
      nodes { handle name ... on ${kinds[kind].type} { ${fields.join(' ')} } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`
}

/** The rest of a long list of members. */
export function membersQuery(kind: Kind): string {
  const page = `members(first: ${membersPageSize}, after: $after) { nodes { principal { handle } role } pageInfo { hasNextPage endCursor } }`
  return `query Members($ref: Ref!, $after: Cursor) { resource(ref: $ref) { ... on ${kinds[kind].type} { ${page} } } }`
}

/** What stands after a field's name: nothing for a leaf, `{ handle }` for a reference, the fields of an object. */
function inner(type: z.ZodType): string {
  const { type: found, meta } = fieldOf(type)
  if (meta.ref) return ' { handle }'
  if (found instanceof z.ZodArray) return inner(found.element as z.ZodType)
  if (!(found instanceof z.ZodObject)) return ''
  return ` { ${Object.entries(found.shape)
    .map(([name, field]) => `${name}${inner(field as z.ZodType)}`)
    .join(' ')} }`
}

/** An answer's value as files write it: references by handle. */
export function asWritten(type: z.ZodType, value: unknown): unknown {
  if (value === null || value === undefined) return null
  const { type: found, meta } = fieldOf(type)
  if (meta.ref) return (value as { handle: string }).handle
  if (found instanceof z.ZodArray)
    return (value as unknown[]).map((item) => asWritten(found.element as z.ZodType, item))
  if (!(found instanceof z.ZodObject)) return value
  const fields = Object.entries(found.shape).map(([name, field]) => [
    name,
    asWritten(field as z.ZodType, (value as Record<string, unknown>)[name]),
  ])
  return Object.fromEntries(fields)
}
