import { describe, expect, it } from 'vitest'
import { formatSpend, type Series } from '../commands/spend.ts'
import type { Plan } from '../files/plan.ts'
import { testIo } from '../test-io.ts'
import { bar } from './bars.ts'
import { formatPlan } from './plan.ts'
import { formatTable } from './table.ts'

const impact = { projects: 0, apiKeys: 0, dataPlanes: 0, requestsLastDay: 0 }
const planOf = (changes: Plan['changes'], more: Partial<Plan> = {}): Plan => ({
  digest: 'd',
  baseRevision: 1,
  changes,
  warnings: [],
  impact,
  ...more,
})

describe('what people read', () => {
  it('is a plan with every change of what exists, and of what is new only what says something', () => {
    const plan = planOf(
      [
        {
          action: 'CREATE',
          ref: 'price-sheet/a',
          fields: [
            { path: ['name'], before: null, after: 'a' },
            { path: ['labels'], before: null, after: '{}' },
            { path: ['currency'], before: null, after: 'USD' },
            ...Array.from({ length: 12 }, (_, at) => ({ path: ['lines', String(at)], before: null, after: 'x' })),
          ],
        },
        { action: 'UPDATE', ref: 'team/b', fields: [{ path: ['costCenter'], before: '1', after: null }] },
        { action: 'ARCHIVE', ref: 'team/c', fields: [] },
        { action: 'UNCHANGED', ref: 'team/d', fields: [] },
      ],
      { warnings: [{ path: [], message: 'beware' }], impact: { ...impact, projects: 1, requestsLastDay: 7 } },
    )
    expect(formatPlan(testIo(), plan)).toBe(
      [
        '+ price-sheet/a',
        '    currency  USD',
        '    lines     (12 values)',
        '~ team/b',
        '    costCenter  1 → (none)',
        '- team/c',
        'warning beware',
        '1 to create, 1 to change, 1 to archive, 1 unchanged. Touches 1 project, 7 requests in the last day.',
        '',
      ].join('\n'),
    )
  })

  it('cannot be forged by what a name holds', () => {
    const rows = [{ name: 'a\u001b[2Jb\u202ec\n' }]
    expect(formatTable(rows, [{ title: 'NAME', value: ({ name }) => name }])).toBe('NAME\na�[2Jb�c�\n')
  })

  it('has bars that show the least amount, and compare exactly where numbers would not', () => {
    expect([0n, 1n, 50n, 100n].map((value) => bar(value, 100n, 4))).toEqual(['', '▏', '██', '████'])
    const huge = 10n ** 30n
    expect(bar(huge - 1n, huge, 1)).toBe('▉')
  })

  it('is spending to the last digit, with how far it is settled', () => {
    const series: Series = {
      window: { from: '2026-11-15T00:00:00Z', to: '2026-11-22T00:00:00Z' },
      interval: 'TOTAL',
      currency: 'USD',
      settledThrough: '2026-11-22T11:00:00.000Z',
      pending: [{ handle: 'data-plane/site' }],
      total: { amount: '0.000000000003', currency: 'USD' },
      groups: [
        groupOf('PROJECT', 'prj_1', 'project/checkout', '0.000000000002', 1_204),
        groupOf('PROJECT', '', null, '0.000000000001', 7),
        groupOf('PROJECT', 'other', null, '0', 0),
      ],
    }
    expect(formatSpend(series, testIo())).toBe(
      [
        'WHAT                 USD  REQUESTS  REFUSED  FAILED  TOKENS',
        `checkout  0.000000000002         1        0       0   1,204  ${'█'.repeat(24)}`,
        `(none)    0.000000000001         1        0       0       7  ${'█'.repeat(12)}`,
        '(other)                0         1        0       0       0',
        'total 0.000000000003 USD  settled through 2026-11-22T11:00:00.000Z; not waited for: data-plane/site',
        '',
      ].join('\n'),
    )
  })
})

function groupOf(dimension: string, value: string, handle: string | null, amount: string, tokens: number) {
  const cost = { amount, currency: 'USD' }
  return {
    key: [{ dimension, label: null, value, resource: handle === null ? null : { handle } }],
    total: cost,
    points: [{ at: '2026-11-15T00:00:00Z', cost, requests: 1, refused: 0, failed: 0, tokens }],
  }
}
