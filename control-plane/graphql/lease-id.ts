import { decodeKeyset, encodeKeyset } from '../../schema/cursor.ts'
import { findLease, type LeaseKey, type LeaseRow, leaseKeyOf } from '../domain/budgets/reading.ts'
import type { GraphContext } from './context.ts'
import { read } from './loaders.ts'

const begins = 'lease.'

/** A lease is named by what it is of; its id holds that. */
export const leaseIdOf = (row: LeaseRow): string => `${begins}${encodeKeyset([...leaseKeyOf(row)])}`

export const isLeaseId = (id: string): boolean => id.startsWith(begins)

/** The lease that an id names, if this actor may see it. */
export async function leaseById(ctx: GraphContext, id: string): Promise<LeaseRow | null> {
  const key = decodeKeyset(id.slice(begins.length), 6)
  if (!key || !isLeaseKey(key) || !ctx.actor.permissions.has('config:read')) return null
  return (await read(ctx, (tx, tenant) => findLease(tx, tenant, key))) ?? null
}

const kinds = ['string', 'string', 'number', 'number', 'string', 'number'] as const

export function isLeaseKey(values: (string | number)[]): values is (string | number)[] & LeaseKey {
  return values.every(
    (value, at) =>
      typeof value === kinds[at] && (typeof value === 'number' ? Number.isSafeInteger(value) : !value.includes('\0')),
  )
}
