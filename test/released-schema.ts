import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Change, CriticalityLevel, diff } from '@graphql-inspector/core'
import { buildSchema } from 'graphql'

/** A break of the released API that is meant. `type` and `path` are those that the check prints. */
export interface AcceptedBreak {
  type: string
  path: string
  /** When it was decided, and why callers can bear it. */
  on: string
  reason: string
}

/**
 * Growth that the API's conventions allow: clients take values and types that they do not know for "other". Everything else that
 * is dangerous must be accepted as a break is, since neither graphql-inspector nor graphql-js tells a dropped default from another.
 */
const growth = new Set([
  'ENUM_VALUE_ADDED',
  'UNION_MEMBER_ADDED',
  'OBJECT_TYPE_INTERFACE_ADDED',
  'FIELD_ARGUMENT_ADDED',
])

const isGrowth = ({ criticality, type }: Change) =>
  criticality.level === CriticalityLevel.NonBreaking ||
  (criticality.level === CriticalityLevel.Dangerous && growth.has(type))

/** One sentence for each break that nobody accepted, and for each acceptance that is of no break. */
export async function breaksSince(released: string, current: string, accepted: AcceptedBreak[]): Promise<string[]> {
  const changes = await diff(buildSchema(released), buildSchema(current))
  const breaks = changes.filter((change) => !isGrowth(change))
  const keyOf = ({ type, path = '' }: { type: string; path?: string }) => `${type} ${path}`
  const known = new Set(accepted.map(keyOf))
  const found = new Set(breaks.map(keyOf))
  return [
    ...breaks.filter((change) => !known.has(keyOf(change))).map((change) => `${keyOf(change)}: ${change.message}`),
    ...accepted
      .filter((one) => !found.has(keyOf(one)))
      .map((one) => `${keyOf(one)} is accepted but is no break; remove it`),
    ...accepted
      .filter(({ on, reason }) => !/^\d{4}-\d{2}-\d{2}$/.test(on) || !reason.trim())
      .map((one) => `${keyOf(one)} is accepted without a date (on: 2026-11-23) or a reason`),
  ]
}

const file = (name: string) => join(import.meta.dirname, '../schema', name)
export const readSchema = (name: 'released.graphql' | 'schema.graphql') => readFileSync(file(name), 'utf8')

/** `bun test/released-schema.ts` compares; with `--release` the present API becomes the released one. */
if (import.meta.main) {
  if (process.argv.includes('--release')) {
    writeFileSync(file('released.graphql'), readSchema('schema.graphql'))
    writeFileSync(file('accepted-breaks.json'), '[]\n')
  }
  const accepted = JSON.parse(readFileSync(file('accepted-breaks.json'), 'utf8'))
  const breaks = await breaksSince(readSchema('released.graphql'), readSchema('schema.graphql'), accepted)
  for (const sentence of breaks) process.stderr.write(`${sentence}\n`)
  if (breaks.length > 0) {
    const ways = 'keep the old form beside the new, deprecated with a date, or name it in schema/accepted-breaks.json'
    process.stderr.write(`The API breaks what was released: ${ways}.\n`)
    process.exit(1)
  }
}
