import { isDeepStrictEqual } from 'node:util'
import { declarations, z } from '../../schema/config/index.ts'
import { fieldOf } from '../../schema/config/walk.ts'
import { type Kind, kinds } from '../../schema/handles.ts'
import { documentFields } from './document.ts'

/** Members are a connection in the API, and a plain list in files and inputs. */
const isConnection = (kind: Kind, name: string) => name === 'members' && 'members' in declarations[kind].spec.shape

/** Sizes of pages, so that what one query may cost is never exceeded: a resource with members costs what they may. */
const pageSize = { plain: 50, withMembers: 10 }
const membersPageSize = { first: 25, rest: 100 }

const memberFields = '{ nodes { principal { handle } role } pageInfo { hasNextPage endCursor } }'
const members = `members(first: ${membersPageSize.first}) ${memberFields}`

/** A query for one page of a kind with every field that its document holds, made from its declaration. */
export function pageQuery(kind: Kind): string {
  const fields = documentFields(kind).map(({ name, type }) =>
    isConnection(kind, name) ? members : `${name}${inner(type)}`,
  )
  const size = isConnection(kind, 'members') ? pageSize.withMembers : pageSize.plain
  return `query Page($after: Cursor, $labels: Labels) {
  tenant {
    configRevision
    resources(kinds: [${kinds[kind].enum}], labels: $labels, first: ${size}, after: $after) {
      nodes { handle name ... on ${kinds[kind].type} { ${fields.join(' ')} } }
      pageInfo { hasNextPage endCursor }
    }
  }
}`
}

/** The rest of a long list of members. */
export function membersQuery(kind: Kind): string {
  const page = `members(first: ${membersPageSize.rest}, after: $after) ${memberFields}`
  return `query Members($ref: Ref!, $after: Cursor) { resource(ref: $ref) { ... on ${kinds[kind].type} { ${page} } } }`
}

/** What stands after a field's name: nothing for a leaf, `{ handle }` for a reference, the fields of an object. */
function inner(type: z.ZodType): string {
  const { type: found, meta } = fieldOf(type)
  if (meta.ref) return meta.labelScope ? ' { ref }' : ' { handle }'
  if (found instanceof z.ZodArray) return inner(found.element as z.ZodType)
  if (!(found instanceof z.ZodObject)) return ''
  if (meta.oneOf) return ` { __typename ${fragments(found)} }`
  return ` { ${Object.entries(found.shape)
    .map(([name, field]) => `${name}${inner(field as z.ZodType)}`)
    .join(' ')} }`
}

/** One fragment for each member: in the API they are types of a union. */
function fragments(oneOf: z.ZodObject): string {
  return Object.values(oneOf.shape)
    .map((member) => `... on ${outputType(member as z.ZodType)}${inner(member as z.ZodType)}`)
    .join(' ')
}

/** `RoutingPolicyInput` is what `RoutingPolicy` is asked for with. */
const outputType = (member: z.ZodType) => fieldOf(member).meta.graphql!.replace(/Input$/, '')

/** An answer's value as files write it: references by handle, and nothing within that says the same as its absence. */
export function asWritten(type: z.ZodType, value: unknown): unknown {
  if (value === null || value === undefined) return null
  const { type: found, meta } = fieldOf(type)
  if (meta.ref) return meta.labelScope ? (value as { ref: string }).ref : (value as { handle: string }).handle
  if (found instanceof z.ZodArray)
    return (value as unknown[]).map((item) => asWritten(found.element as z.ZodType, item))
  if (!(found instanceof z.ZodObject)) return value
  if (meta.oneOf) return memberAsWritten(found, value as { __typename: string })
  const fields = Object.entries(found.shape).map(([name, field]) => {
    const inside = asWritten(field as z.ZodType, (value as Record<string, unknown>)[name])
    return [name, field as z.ZodType, inside] as const
  })
  return Object.fromEntries(
    fields.filter(([, field, inside]) => !isDefault(field, inside)).map(([name, , inside]) => [name, inside]),
  )
}

function memberAsWritten(oneOf: z.ZodObject, value: { __typename: string }): unknown {
  const found = Object.entries(oneOf.shape).find(([, type]) => outputType(type as z.ZodType) === value.__typename)
  return found && { [found[0]]: asWritten(found[1] as z.ZodType, value) }
}

/** True where leaving the field out says the same: applying fills it in again. */
export function isDefault(type: z.ZodType, written: unknown): boolean {
  if (written === null) return true
  if (!fieldOf(type).optional) return false
  return isDeepStrictEqual(asWritten(type, type.safeParse(undefined).data), written)
}
