import { parse, print, visit } from 'graphql'
import { describe, expect, it } from 'vitest'
import { breaksSince, readSchema } from './released-schema.ts'

const released = `
  interface Node { id: ID! }
  type Team implements Node { id: ID! costCenter: String }
  type Route implements Node { id: ID! }
  union Any = Team
  enum Strategy { PRIORITY WEIGHTED }
  input RevertInput { toRevision: Int! dryRun: Boolean! = false planDigest: String }
  type Query { node(id: ID!, deep: Boolean = false): Node strategy: Strategy any: Any }
  type Mutation { revert(input: RevertInput!): Team }`

/** What breaks when these words of the released API are replaced. */
const keys = async (...replaced: [string, string][]) => {
  const current = replaced.reduce((text, [before, after]) => {
    expect(text).toContain(before)
    return text.replace(before, after)
  }, released)
  return (await breaksSince(released, current, [])).map((one) => one.split(':')[0])
}

describe('the released API', () => {
  it('may not lose a field, an argument, a value or a member', async () => {
    expect(await keys([' costCenter: String', ''])).toEqual(['FIELD_REMOVED Team.costCenter'])
    expect(await keys([', deep: Boolean = false', ''])).toEqual(['FIELD_ARGUMENT_REMOVED Query.node.deep'])
    expect(await keys([' WEIGHTED', ''])).toEqual(['ENUM_VALUE_REMOVED Strategy.WEIGHTED'])
    expect(await keys(['union Any = Team', 'union Any = Route'])).toContain('UNION_MEMBER_REMOVED Any')
  })

  it('may not ask for more, nor change or drop a default, which callers may rely on', async () => {
    expect(await keys(['planDigest: String', 'planDigest: String!'])).toEqual([
      'INPUT_FIELD_TYPE_CHANGED RevertInput.planDigest',
    ])
    expect(await keys(['toRevision: Int!', 'toRevision: Int! more: Int!'])).toEqual([
      'INPUT_FIELD_ADDED RevertInput.more',
    ])
    expect(await keys(['dryRun: Boolean! = false', 'dryRun: Boolean!'])).toEqual([
      'INPUT_FIELD_DEFAULT_VALUE_CHANGED RevertInput.dryRun',
    ])
    expect(await keys(['deep: Boolean = false', 'deep: Boolean = true'])).toEqual([
      'FIELD_ARGUMENT_DEFAULT_CHANGED Query.node.deep',
    ])
  })

  it('may grow: fields, values, members, and arguments that may be left out', async () => {
    const grown = await keys(
      ['WEIGHTED', 'WEIGHTED BY_TASK'],
      ['union Any = Team', 'union Any = Team | Route'],
      ['costCenter: String', 'costCenter: String more: Int'],
      ['deep: Boolean = false', 'deep: Boolean = false, more: Int'],
      ['planDigest: String', 'planDigest: String more: Int'],
    )
    expect(grown).toEqual([])
  })

  it('may break on purpose, for a dated reason, which goes when the break is gone', async () => {
    const current = released.replace(' costCenter: String', '')
    const accepted = { type: 'FIELD_REMOVED', path: 'Team.costCenter', on: '2026-11-23', reason: 'nobody reads it' }
    expect(await breaksSince(released, current, [accepted])).toEqual([])
    expect(await breaksSince(released, released, [accepted])).toEqual([expect.stringContaining('remove it')])
    for (const bad of [
      { ...accepted, reason: ' ' },
      { ...accepted, on: 'today' },
    ])
      expect(await breaksSince(released, current, [bad])).toEqual([expect.stringContaining('without a date')])
  })

  it('is checked as it is: without any one of its mutations it would be broken', async () => {
    const current = readSchema('schema.graphql')
    const lacking = visit(parse(current), {
      FieldDefinition: ({ name }) => (name.value === 'apply' ? null : undefined),
    })
    const breaks = await breaksSince(readSchema('released.graphql'), print(lacking), [])
    expect(breaks.join('\n')).toContain('FIELD_REMOVED Mutation.apply')
  })
})
