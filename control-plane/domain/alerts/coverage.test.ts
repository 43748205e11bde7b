import { describe, expect, it } from 'vitest'
import { mintId } from '../../../schema/ids.ts'
import type { Dimensions } from '../measures.ts'
import { isSpentIn, isWithin, type Tree } from './coverage.ts'

const [tenant, team, project, other] = [mintId('tenant'), mintId('team'), mintId('project'), mintId('project')]
const [key, principal, model] = [mintId('apiKey'), mintId('principal'), mintId('model')]
const [provider, tier] = [mintId('provider'), mintId('tier')]
const tree: Tree = {
  teams: new Map([[project, team]]),
  keys: new Map([[key, { project, principal }]]),
  models: new Map([[model, { provider, tier }]]),
}
const within = (outer: string, scope: string) => isWithin(outer, scope, tree)

describe('a rule on budgets', () => {
  it('covers what is attached to its scope and below it', () => {
    for (const scope of [tenant, team, project, key, principal, model, provider, tier, 'label/case=a'])
      expect([within(tenant, scope), within(scope, scope)]).toEqual([true, true])
    expect([within(team, project), within(team, key), within(project, key), within(principal, key)]).not.toContain(
      false,
    )
    expect([within(provider, model), within(tier, model), within('label/case', 'label/case=a')]).not.toContain(false)
  })
  it('covers nothing above or beside it', () => {
    const beside: [string, string][] = [
      [project, team],
      [key, project],
      [team, other],
      [team, tenant],
      [project, principal],
      [model, tier],
      ['label/case=a', 'label/case'],
      ['label/case', 'label/cases=a'],
      [team, 'label/case=a'],
    ]
    for (const [outer, scope] of beside) expect(within(outer, scope), `${outer} ${scope}`).toBe(false)
  })
})

describe('spending', () => {
  const spent: Dimensions = {
    ...{ team, project, principal, apiKey: key, provider, model, alias: '', tier, dataPlane: '' },
    requestLabels: { case: 'a=b' },
  }
  it('counts in every scope that it names', () => {
    for (const scope of [tenant, team, project, key, principal, provider, model, tier, 'label/case', 'label/case=a=b'])
      expect(isSpentIn(scope, spent), scope).toBe(true)
    for (const scope of [other, mintId('team'), 'label/case=a', 'label/step'])
      expect(isSpentIn(scope, spent)).toBe(false)
  })
})
