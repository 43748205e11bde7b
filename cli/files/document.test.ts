import { describe, expect, it } from 'vitest'
import { configSchema } from '../../control-plane/graphql/config-schema.ts'
import { declarations } from '../../schema/config/index.ts'
import { kindList, kinds } from '../../schema/handles.ts'
import { documentFields } from './document.ts'

interface Schema {
  properties: Record<string, { const?: string }>
  required: string[]
  additionalProperties: boolean
}

describe('the JSON Schema of config files', () => {
  it('has one form per kind, told apart by `kind`', () => {
    const forms = configSchema().oneOf as Schema[]
    expect(forms.map(({ properties }) => properties.kind!.const)).toEqual(kindList.map((kind) => kinds[kind].type))
  })

  it('names every field that apply may set, and no other', () => {
    for (const kind of kindList) {
      const { properties, additionalProperties } = configSchema(kind) as unknown as Schema
      expect(additionalProperties).toBe(false)
      expect(Object.keys(properties)).toEqual(['kind', 'name', ...documentFields(kind).map(({ key }) => key)])
      const settable = documentFields(kind).map(({ name }) => name)
      expect(Object.keys(declarations[kind].spec.shape).filter((name) => !settable.includes(name))).toEqual(
        { apiKey: ['kind', 'principal', 'project'], dataPlane: ['adapter'] }[kind as string] ?? [],
      )
    }
  })

  it('asks for what has no default', () => {
    expect((configSchema('model') as unknown as Schema).required).toEqual(['kind', 'name', 'provider', 'upstreamName'])
  })

  it('says nothing that is not JSON Schema', () => {
    expect(JSON.stringify(configSchema())).not.toMatch(/"(graphql|issued|ref|labelScope)":|"oneOf":true/)
  })
})
