import { describe, expect, it } from 'vitest'
import type { Resource } from '../../schema/config/index.ts'
import { permissionsOf } from '../../schema/permissions.ts'
import type { Actor } from '../domain/actor.ts'
import { readableSubjects } from './visible.ts'

const actor = (role: 'MEMBER' | 'VIEWER') =>
  ({ tenant: 'ten_1', principal: 'prn_own', permissions: permissionsOf(role) }) as unknown as Actor

const member = { principal: 'prn_own', role: 'MEMBER' }
const there: Record<string, unknown> = {
  prj_mine: { id: 'prj_mine', kind: 'project', spec: { members: [member] } },
  prj_other: { id: 'prj_other', kind: 'project', spec: { members: [] } },
  key_mine: { id: 'key_mine', kind: 'apiKey', spec: { principal: 'prn_own' } },
  key_other: { id: 'key_other', kind: 'apiKey', spec: { principal: 'prn_other' } },
}

const readable = (of: Actor, scope: string, per: string | null) =>
  readableSubjects(of, { spec: { scope, per } } as Resource<'budget'>, {
    load: async (id) => there[id] as Resource | undefined,
    keysOf: async () => ['key_mine'],
  })

describe('counters of a budget', () => {
  it('are all there for who sees what everyone spends', async () => {
    for (const scope of ['ten_1', 'prj_other', 'key_other', 'label/case'])
      expect(await readable(actor('VIEWER'), scope, 'PRINCIPAL')).toBeNull()
  })

  it('are there for a member only where they count the member alone', async () => {
    const own = actor('MEMBER')
    expect(await readable(own, 'prn_own', null)).toBeNull()
    expect(await readable(own, 'key_mine', 'MODEL')).toBeNull()
    expect(await readable(own, 'prj_mine', 'PRINCIPAL')).toEqual(['prn_own'])
    expect(await readable(own, 'ten_1', 'API_KEY')).toEqual(['key_mine'])
  })

  it('that tell what others spend are not there for a member, whatever they are on', async () => {
    const own = actor('MEMBER')
    for (const [scope, per] of [
      ...[['ten_1', null] as const, ['prj_mine', null] as const, ['prj_mine', 'MODEL'] as const],
      ...[['prj_other', 'PRINCIPAL'] as const, ['key_other', null] as const, ['prn_other', null] as const],
      ...[['label/case', 'LABEL_VALUE'] as const, ['label/case', 'PRINCIPAL'] as const],
    ])
      expect(await readable(own, scope, per), `${scope} per ${per}`).toBeUndefined()
  })
})
