import { formatAmount, parseAmount } from '../../../schema/money.ts'
import { askers, cases, maxOutputTokens, models, type Question } from './budget-questions.ts'

/** The organisation, a priced provider, its models, and one declared label. */
export const organisation = (baseUrl: string, tenant: string, owners: readonly string[]) => `
kind: Tenant
name: ${tenant}
members: [${owners.map((name) => `{ principal: principal/${name}, role: OWNER }`).join(', ')}]
requestLabels:
  - { key: case, values: [${cases.join(', ')}] }
---
kind: Provider
name: upstream
platform: OPENAI_COMPATIBLE
baseUrl: ${baseUrl}/v1
selfHosted: true
---
kind: Principal
name: load
principalKind: SERVICE
${[...new Set(askers.map(({ team }) => team))].map((team) => `---\nkind: Team\nname: ${team}\n`).join('')}
${[...new Map(askers.map((asker) => [asker.project, asker])).values()]
  .map(({ project, team }) => `---\nkind: Project\nname: ${project}\nteam: team/${team}\npurpose: To be bounded\n`)
  .join('')}
---
kind: PriceSheet
name: proof
currency: USD
lines:
${models
  .map(
    ({ name, prices }) => `  - { model: model/${name}, meter: INPUT_TOKENS, amount: "${prices.input}", per: 1000000 }
  - { model: model/${name}, meter: OUTPUT_TOKENS, amount: "${prices.output}", per: 1000000 }`,
  )
  .join('\n')}
${models
  .map(
    ({ name }) => `---
kind: Model
name: ${name}
provider: provider/upstream
upstreamName: ${name}
contextTokens: 8192
maxOutputTokens: ${maxOutputTokens}
---
kind: Alias
name: ${name}
model: model/${name}
`,
  )
  .join('')}`

/** One budget of the proof and whose requests it counts. */
export interface DeclaredBudget {
  name: string
  scope: string
  per: 'API_KEY' | 'LABEL_VALUE' | null
  period: 'LIFETIME' | 'YEAR'
  action: 'BLOCK' | 'WARN'
  /** Of each counter, at 10⁻¹². */
  limit: bigint
  /** Who of those whom it counts a request is counted for; undefined = it does not count. */
  subject: (question: Pick<Question, 'asker' | 'case'>) => string | null | undefined
}

/** Long enough for money to come free while requests run, short enough for all that are refused at the end. */
const waitForFunds = 'PT0.4S'

const cents = (amount: string) => parseAmount(amount)! / 100n

/**
 * Budgets at four levels, and two that have a counter for each of something. The narrower ones together are below the wider,
 * which a key without a budget of its own then brings to its end; `tight`: they are above the tenant's, so that it ends first.
 */
export function budgetsOf(tenant: string, keys: ReadonlyMap<string, string>, tight: boolean): DeclaredBudget[] {
  const common = { per: null, action: 'BLOCK', period: 'LIFETIME' } as const
  const ofAsker = (member: 'key' | 'project' | 'team', value: string) => (question: Pick<Question, 'asker'>) =>
    question.asker[member] === value ? null : undefined
  const idOf = (key: string) => keys.get(key)!
  return [
    { ...common, name: 'all', scope: `tenant/${tenant}`, limit: cents(tight ? '40' : '85'), subject: () => null },
    { ...common, name: 'north', scope: 'team/north', limit: cents('48'), subject: ofAsker('team', 'north') },
    { ...common, name: 'alpha', scope: 'project/alpha', limit: cents('20'), subject: ofAsker('project', 'alpha') },
    { ...common, name: 'a1', scope: idOf('a1'), limit: cents('7'), period: 'YEAR', subject: ofAsker('key', 'a1') },
    {
      ...{ ...common, name: 'beta-each', scope: 'project/beta', per: 'API_KEY', limit: cents('8') },
      subject: ({ asker }) => (asker.project === 'beta' ? idOf(asker.key) : undefined),
    },
    {
      ...{ ...common, name: 'cases', scope: 'label/case', per: 'LABEL_VALUE', limit: cents('6') },
      subject: (question) => question.case ?? undefined,
    },
    {
      ...common,
      name: 'told',
      scope: 'team/south',
      action: 'WARN',
      limit: cents('5'),
      subject: ofAsker('team', 'south'),
    },
  ]
}

export const budgetDocuments = (budgets: readonly DeclaredBudget[]) =>
  budgets
    .map(
      ({ name, scope, per, period, action, limit }) => `kind: Budget
name: ${name}
scope: ${scope}
${per ? `per: ${per}\n` : ''}limit: { amount: "${formatAmount(limit)}", currency: USD }
period: ${period}
onExhausted: ${action}
waitForFunds: ${waitForFunds}
`,
    )
    .join('---\n')

/** What a counter is called here: its budget, and whom it counts. */
export const counterName = (budget: string, subject: string | null) =>
  subject === null ? budget : `${budget} ${subject}`

/** The counters that a question falls under, by name. */
export function countersOf(budgets: readonly DeclaredBudget[], question: Pick<Question, 'asker' | 'case'>): string[] {
  return budgets.flatMap(({ name, subject }) => {
    const whom = subject(question)
    return whom === undefined ? [] : [counterName(name, whom)]
  })
}
