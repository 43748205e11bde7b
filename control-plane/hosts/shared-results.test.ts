import { parse } from 'graphql'
import { describe, expect, it } from 'vitest'
import { sharingKey } from './shared-results.ts'

const plain = `subscription T($after: Cursor, $short: Boolean!) {
  spendTicks(interval: HOUR, after: $after) { cursor groups { key { value resource { name } } points { cost { amount } } } }
}`

function keyOf(document: string, permissions: string[], variables: object = {}, principal = 'prn_a') {
  const actor = { permissions: new Set(permissions), principal }
  const args = { document: parse(document), variableValues: variables, contextValue: { actor } }
  return sharingKey(args as never)
}

describe('what subscribers share', () => {
  it('is the same document of those who see as much, wherever they resume from', () => {
    const all = ['config:read', 'spend:read']
    expect(keyOf(plain, all, { after: 'a' })).toBe(keyOf(plain, all, { after: 'b' }, 'prn_b'))
    expect(keyOf(plain, all)).not.toBe(keyOf(plain, ['spend:read']))
    expect(keyOf(plain, ['spend:read'], {}, 'prn_a')).not.toBe(keyOf(plain, ['spend:read'], {}, 'prn_b'))
    expect(keyOf(plain, ['spend:read'])).not.toBe(keyOf(plain, ['spend:read', 'record:read-own']))
    expect(keyOf(plain, all)).not.toBe(keyOf(plain.replace('amount', 'amount currency'), all))
  })

  it('is nothing where an answer may depend on who asks, or on more than the event', () => {
    const all = ['config:read']
    expect(keyOf('subscription { flightTail { cursor } }', all)).toBeUndefined()
    expect(keyOf(plain.replace('name', '... on Project { purpose }'), all)).toBeUndefined()
    expect(keyOf(plain.replace('cursor', 'cursor @include(if: $short)'), all)).toBeUndefined()
  })
})
