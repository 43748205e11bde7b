import { measureFullLoad } from '../load.ts'
import type { Row } from '../row.ts'
import { sluice } from '../sluice.ts'

/** What it costs to hold each request to a budget of the tenant, team, project and person, and to two rate limits. */
export const budgetRows: Row[] = [
  {
    name: 'budgets',
    title: 'Sluice, plain, budgets at 4 levels and 2 rate limits',
    against: { row: 'sluice-plain', as: 'ratio' },
    measure: async (bed) => measureFullLoad(bed, 'budgets', await sluice(bed, { governed: true }), false),
    target: { text: '≥ 0.85 of it without', met: ({ ratio }) => ratio! >= 0.85 },
  },
]
