import SchemaBuilder from '@pothos/core'
import ComplexityPlugin from '@pothos/plugin-complexity'
import RelayPlugin from '@pothos/plugin-relay'
import ScopeAuthPlugin from '@pothos/plugin-scope-auth'
import type { Permission } from '../../schema/permissions.ts'
import type { GraphContext } from './context.ts'
import { requestError } from './errors.ts'
import { costLimits, tooMuch } from './limits.ts'
import { typeOfNode } from './node-type.ts'
import { dateTime, jsonSchema, labels, safeInt, textScalar } from './scalars.ts'

interface SchemaTypes {
  Context: GraphContext
  DefaultFieldNullability: false
  DefaultEdgesNullability: false
  DefaultNodeNullability: false
  AuthScopes: { may: Permission }
  Scalars: {
    ID: { Input: string; Output: string }
    DateTime: { Input: string; Output: Date | string | number }
    Duration: { Input: string; Output: string }
    Decimal: { Input: string; Output: string }
    Currency: { Input: string; Output: string }
    SafeInt: { Input: number; Output: number | bigint }
    Ref: { Input: string; Output: string }
    Cursor: { Input: string; Output: string }
    Labels: { Input: Record<string, string>; Output: Record<string, string> }
    JSONSchema: { Input: never; Output: object }
  }
}

/** The one builder. Every file of this folder adds its noun to it; `schema.ts` prints what came of it. */
export const builder = new SchemaBuilder<SchemaTypes>({
  plugins: [ScopeAuthPlugin, RelayPlugin, ComplexityPlugin],
  defaultFieldNullability: false,
  scopeAuth: {
    // Without this a stream would be checked at every event, and an unauthorised one would go on for ever.
    authorizeOnSubscribe: true,
    authScopes: ({ actor }) => ({ may: (permission) => actor.permissions.has(permission) }),
    unauthorizedError: () => requestError('NOT_PERMITTED'),
  },
  relay: {
    // Ids say their kind themselves, so `node` and `nodes` are ours; Relay's plugin gives connections their shape.
    nodeQueryOptions: false,
    nodesQueryOptions: false,
    cursorType: 'Cursor' as 'String',
    // The connection's own cost counts its rows; the lists in it do not count them again.
    nodesOnConnection: { complexity: { field: 1, multiplier: 1 } },
    edgesFieldOptions: { nullable: false, complexity: { field: 1, multiplier: 1 } },
    nodeFieldOptions: { nullable: false },
    nodeTypeOptions: { resolveType: (node) => typeOfNode(node as object) },
    pageInfoTypeOptions: {},
  },
  complexity: {
    limit: costLimits,
    defaultListMultiplier: 5,
    complexityError: (kind) => tooMuch(kind.toLowerCase(), costLimits[kind.toLowerCase() as keyof typeof costLimits]),
  },
})

builder.scalarType('DateTime', dateTime)
builder.scalarType(
  'Duration',
  textScalar('Duration', 'Accepts 90s, 15m, 1h, 30d or ISO 8601; always answered as ISO 8601.'),
)
builder.scalarType('Decimal', textScalar('Decimal', 'Exact decimal as a string, e.g. "0.0000375". Never a float.'))
builder.scalarType('Currency', textScalar('Currency', 'ISO 4217 code.'))
builder.scalarType('SafeInt', safeInt)
builder.scalarType(
  'Ref',
  textScalar(
    'Ref',
    'An id (prj_0197…) or a handle (project/checkout-bot), split at the first slash, so names may hold `/ . : @`.',
  ),
)
builder.scalarType('Cursor', textScalar('Cursor', 'Opaque position in a list or stream. Sortable by the server only.'))
builder.scalarType('Labels', labels)
builder.scalarType('JSONSchema', jsonSchema)

builder.queryType({})
builder.mutationType({})
builder.subscriptionType({})

/** The builder's types with Pothos's own, for functions that take a field builder or a type. */
export type Types = PothosSchemaTypes.ExtendDefaultTypes<SchemaTypes>
