import { describe, expect, it } from 'vitest'
import { handleOf, kindList, kindOf, kinds, parseRef } from './handles.ts'
import { mintId } from './ids.ts'

describe('a reference', () => {
  it('is a handle split at its first slash, so that names may hold slashes', () => {
    expect(parseRef('model/meta-llama/Llama-3@v1')).toEqual({
      by: 'handle',
      kind: 'model',
      name: 'meta-llama/Llama-3@v1',
    })
  })
  it('is an id of any declared kind', () => {
    for (const kind of kindList) expect(parseRef(mintId(kind))).toMatchObject({ by: 'id', kind })
  })
  it('is not an id of something that is not declared, nor a word alone', () => {
    for (const ref of [mintId('request'), 'project', '/x', 'project/', 'nothing/x'])
      expect(parseRef(ref)).toBeUndefined()
  })
  it('finds its kind by the word of handles and by the name of files', () => {
    for (const kind of kindList) {
      expect(kindOf(kinds[kind].word)).toBe(kind)
      expect(kindOf(kinds[kind].type)).toBe(kind)
      expect(parseRef(handleOf(kind, 'a'))).toMatchObject({ kind, name: 'a' })
    }
  })
})
