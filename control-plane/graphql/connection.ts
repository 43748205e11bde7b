import type { InterfaceRef, ObjectRef } from '@pothos/core'
import { decodeKeyset, encodeKeyset } from '../../schema/cursor.ts'
import { builder, type Types } from './builder.ts'
import { requestError } from './errors.ts'

export const firstMax = 100

/** Relay's connection of a type, with `nodes` as shortcut; made once. */
export function connectionOf<Shape>(type: ObjectRef<Types, Shape> | InterfaceRef<Types, Shape>) {
  return builder.connectionObject({ type: type as ObjectRef<Types, Shape>, name: `${type.name}Connection` })
}

export interface PageArgs {
  first?: number | null
  after?: string | null
}

/** How many rows were asked for: 1 to 100, 50 where nothing is said. */
export function pageSize({ first }: PageArgs): number {
  const size = first ?? 50
  if (size < 1 || size > firstMax) throw requestError('BAD_DOCUMENT', `first is from 1 to ${firstMax}.`)
  return size
}

/** The sort values a page goes on from. */
export function keysetAfter(after: string | null | undefined, length: number): (string | number)[] | undefined {
  if (!after) return undefined
  const values = decodeKeyset(after, length)
  if (!values) throw requestError('BAD_DOCUMENT', 'after is not a cursor of this list.')
  return values
}

/** A page as Relay wants it; `keyset` gives a row's sort values. */
export function page<Row>(
  rows: Row[],
  hasNextPage: boolean,
  keyset: (row: Row) => (string | number)[],
  after?: string | null,
) {
  const edges = rows.map((node) => ({ node, cursor: encodeKeyset(keyset(node)) }))
  return {
    edges,
    pageInfo: {
      hasNextPage,
      hasPreviousPage: Boolean(after),
      startCursor: edges[0]?.cursor ?? null,
      endCursor: edges.at(-1)?.cursor ?? null,
    },
  }
}

/** A list costs what its page may hold. */
export const pageCost = (args: PageArgs) => ({ field: 1, multiplier: args.first ?? 50 })
