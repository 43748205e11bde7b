import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  buildSchema,
  type GraphQLInputObjectType,
  isEnumType,
  isInputObjectType,
  isObjectType,
  isScalarType,
  parse,
  printSchema,
  validateSchema,
} from 'graphql'
import { describe, expect, it } from 'vitest'
import { declarations } from '../../schema/config/index.ts'
import { fieldOf } from '../../schema/config/walk.ts'
import { kindList, kinds } from '../../schema/handles.ts'
import { configSchema } from './config-schema.ts'
import { checkDocument, textError } from './limits.ts'
import { printedSchema, schema } from './schema.ts'

describe('the API', () => {
  it('is what schema/schema.graphql says; print it again with print-schema.ts and read the difference', () => {
    const committed = readFileSync(join(import.meta.dirname, '../../schema/schema.graphql'), 'utf8')
    expect(printedSchema()).toBe(committed)
  })

  it('is valid GraphQL, and its text builds the same schema', () => {
    expect(validateSchema(schema)).toEqual([])
    expect(`${printSchema(buildSchema(printedSchema()))}\n`).toBe(printedSchema())
  })

  it('has no floating point anywhere', () => {
    expect(printedSchema()).not.toMatch(/\bFloat\b/)
  })

  it('answers every mutation with a payload of errors, audit entry and cursor, and takes one input', () => {
    const fields = Object.values(schema.getMutationType()!.getFields())
    expect(fields.length).toBeGreaterThan(5)
    for (const field of fields) {
      expect(field.args.map(({ name }) => name)).toEqual(['input'])
      const payload = schema.getType(String(field.type).replace('!', ''))
      expect(isObjectType(payload) && payload.getInterfaces().map(({ name }) => name)).toEqual(['Payload'])
    }
  })

  it('can resume every stream', () => {
    for (const field of Object.values(schema.getSubscriptionType()!.getFields())) {
      expect(field.args.map(({ name }) => name)).toContain('after')
      const event = schema.getType(String(field.type).replace('!', '')) as { getFields(): object }
      expect(Object.keys(event.getFields())).toContain('cursor')
    }
  })

  it('can be carried by any host: nothing here or in the domain names Bun', () => {
    for (const folder of ['.', '../domain']) {
      const path = join(import.meta.dirname, folder)
      for (const file of readdirSync(path, { recursive: true, encoding: 'utf8' }).filter(
        (name) => name.endsWith('.ts') && !name.endsWith('.test.ts'),
      ))
        expect(readFileSync(join(path, file), 'utf8'), file).not.toMatch(/\bBun\.|from 'bun|'bun:/)
    }
  })
})

describe('inputs of declared resources', () => {
  const resourceInput = schema.getType('ResourceInput') as GraphQLInputObjectType

  it('offer exactly one of every kind', () => {
    expect(resourceInput.isOneOf).toBe(true)
    expect(Object.keys(resourceInput.getFields())).toEqual(kindList)
  })

  it('have a field for each declared one, save those that only an issuing verb may set', () => {
    for (const kind of kindList) {
      const type = schema.getType(`${kinds[kind].type}Input`)
      const settable = Object.entries(declarations[kind].spec.shape)
        .filter(([, field]) => !fieldOf(field as never).meta.issued)
        .map(([name]) => name)
      expect(isInputObjectType(type) && Object.keys(type.getFields())).toEqual(['id', 'name', 'labels', ...settable])
    }
  })

  it('have no defaults, so that what is left out stays apart from what is null', () => {
    const seen = new Set<string>()
    const visit = (type: GraphQLInputObjectType) => {
      if (seen.has(type.name)) return
      seen.add(type.name)
      for (const field of Object.values(type.getFields())) {
        expect(field.defaultValue, `${type.name}.${field.name}`).toBeUndefined()
        const inner = schema.getType(String(field.type).replace(/[![\]]/g, ''))
        if (isInputObjectType(inner)) visit(inner)
        else expect(isEnumType(inner) || isScalarType(inner)).toBe(true)
      }
    }
    visit(resourceInput)
    expect(seen.size).toBeGreaterThan(15)
  })

  it('and config files come from the same declarations', () => {
    const project = configSchema('project') as { properties: object; required: string[] }
    expect(Object.keys(project.properties)).toEqual([
      'kind',
      'name',
      'labels',
      ...Object.keys(declarations.project.spec.shape),
    ])
    expect(project.required).toEqual(['kind', 'name', 'team'])
    expect(Object.keys((configSchema('principal') as { properties: object }).properties)).toContain('principalKind')
    expect(JSON.stringify(configSchema())).not.toContain('"graphql"')
  })
})

describe('a document', () => {
  const check = (text: string) => () => checkDocument(parse(text))

  it('may be as large as introspection and no larger', () => {
    expect(check('{ viewer { actor { name } } }')).not.toThrow()
    expect(check(`{ ${Array.from({ length: 31 }, (_, i) => `a${i}: viewer { actor { name } }`).join(' ')} }`)).toThrow(
      'aliases',
    )
    expect(check(`{ ${'viewer { '.repeat(20)} name ${'}'.repeat(21)}`)).toThrow('16 levels of fields')
    expect(check(`{ ${'viewer '.repeat(2_000)} }`)).toThrow('1500 fields')
    expect(check(`{ viewer ${'@skip(if: true) '.repeat(60)} { tenant { name } } }`)).toThrow('directives')
  })

  it('is measured in time linear to its text, however its fragments spread each other', () => {
    const fragments = Array.from({ length: 60 }, (_, i) => `fragment f${i} on Query { ...f${i + 1} ...f${i + 1} }`)
    const bomb = `{ ...f0 } ${fragments.join(' ')} fragment f60 on Query { viewer { actor { name } } }`
    const startedAt = performance.now()
    expect(check(bomb)).toThrow('1500 fields')
    expect(performance.now() - startedAt).toBeLessThan(200)
  })

  it('whose fragments form a circle is left to validation', () => {
    expect(check('{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }')).not.toThrow()
  })

  it('and its variables hold nothing that no database stores', () => {
    const wrong = (query: string, variables: unknown) => textError(query, variables) !== undefined
    expect(wrong('{ a }', { name: 'a\0b' })).toBe(true)
    expect(wrong('{ a }', { deep: [{ name: '\ud800' }] })).toBe(true)
    expect(wrong('{ a(name: "\\u0000") }', {})).toBe(true)
    expect(wrong('{ a }', { name: 'a written \\u0000, an emoji 🌊' })).toBe(false)
  })
})
