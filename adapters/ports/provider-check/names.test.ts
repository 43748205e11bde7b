import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { modelNames } from './names.ts'

const namesOf = (body: unknown) => modelNames(JSON.stringify(body))

describe('names in a list of models', () => {
  it('are read from every form, each once', () => {
    expect(namesOf({ data: [{ id: 'a' }, { id: 'a' }, { id: 'b' }] })).toEqual(['a', 'b'])
    expect(namesOf({ models: [{ name: 'models/gemini' }] })).toEqual(['gemini'])
    expect(namesOf({ modelSummaries: [{ modelId: 'amazon.nova', modelName: 'Nova' }] })).toEqual(['amazon.nova'])
    expect(namesOf([{ id: 'a' }])).toEqual(['a'])
    expect(namesOf({ data: [] })).toEqual([])
  })

  it('are none in what is no list of models', () => {
    for (const body of [null, 1, 'a', {}, { data: {} }, { data: [1, null, 'a'] }, { data: [{ id: 'two words' }] }])
      expect(namesOf(body), JSON.stringify(body)).toBeUndefined()
    expect(modelNames('<html>')).toBeUndefined()
  })

  it('are read from anything without a fault', () => {
    fc.assert(fc.property(fc.jsonValue(), (body) => void namesOf(body)))
    fc.assert(fc.property(fc.array(fc.jsonValue()), (data) => void namesOf({ data })))
  })
})
