import { describe, expect, it } from 'vitest'
import { declarations } from './index.ts'
import { findReferences } from './walk.ts'

const issues = (spec: object) => {
  const parsed = declarations.route.spec.safeParse(spec)
  const found = parsed.success ? declarations.route.rules!(parsed.data as never) : parsed.error.issues
  return found.map(({ path, message }) => `${path.join('.')}: ${message}`)
}
const target = (when: object | null = null, weight = 1) => ({ model: 'model/a', weight, when })
const byTask = (...whens: (object | null)[]) =>
  issues({ strategy: 'BY_TASK', targets: whens.map((when) => target(when)) })

describe('a route', () => {
  it('of each strategy needs no more than its targets, and BY_TASK a condition', () => {
    for (const strategy of ['PRIORITY', 'WEIGHTED', 'LEAST_COST', 'LEAST_LATENCY'])
      expect(issues({ strategy, targets: [target()] })).toEqual([])
    expect(byTask({ tools: true })).toEqual([])
    expect(byTask({ tools: true }, { requestLabels: { case: 'code' } }, null)).toEqual([])
    expect(byTask(null)).toEqual([expect.stringContaining('targets.0.when: is missing')])
    expect(issues({ strategy: 'FASTEST', targets: [target()] })).not.toEqual([])
  })

  it('asks conditions only where it chooses by them', () => {
    for (const strategy of ['PRIORITY', 'WEIGHTED', 'LEAST_COST', 'LEAST_LATENCY'])
      expect(issues({ strategy, targets: [target(), target({ tools: true })] })).toEqual([
        `targets.1.when: is asked of BY_TASK routes only, and this one is ${strategy}; change the strategy`,
      ])
  })

  it('has no condition that never comes to be asked, or that says nothing', () => {
    expect(byTask({ tools: true }, null, { images: true })).toEqual([
      'targets.2.when: is never reached: targets.1 has no condition and takes every request; put it last',
    ])
    expect(byTask({ tools: true }, null, null)).toEqual([])
    expect(byTask({ language: ['de', 'fr'] }, null)).toEqual([])
    expect(byTask({ language: ['xx'] }, null)).toEqual([expect.stringContaining('one of ar, de,')])
    expect(byTask({}, null)).toEqual([expect.stringContaining('targets.0.when: asks nothing')])
    expect(byTask({ minInputTokens: 9, maxInputTokens: 1 }, null)).toEqual([
      expect.stringContaining('targets.0.when.minInputTokens'),
    ])
  })

  it('has no condition on the target that it names', () => {
    expect(byTask({ model: ['model/b'], external: true, tools: true }, null)).toEqual([
      expect.stringContaining('targets.0.when.model: speaks of the target'),
      expect.stringContaining('targets.0.when.external: speaks of the target'),
    ])
  })

  it('keeps sessions by a header that is no secret', () => {
    const sticky = (stickyHeader: string) => issues({ stickyHeader, targets: [target()] })
    expect(sticky('x-session-id')).toEqual([])
    for (const name of ['authorization', 'x-api-key', 'cookie'])
      expect(sticky(name)).toEqual([expect.stringContaining('secret')])
    for (const name of ['', 'X-Session', 'a b', 'a:b'])
      expect(sticky(name)).toEqual([expect.stringContaining('name of a header')])
  })

  it('has references within conditions too', () => {
    const spec = { targets: [{ model: 'model/a', when: { provider: ['provider/b'] } }] }
    const found = findReferences(declarations.route.spec.shape, spec as never)
    expect(found.map(({ path }) => path.join('.'))).toEqual(['targets.0.model', 'targets.0.when.provider.0'])
  })
})
