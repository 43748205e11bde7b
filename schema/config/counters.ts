import type { RuleIssue } from './declaration.ts'
import { oneOf } from './fields.ts'

/** One counter for each … inside the scope. */
export const counterPers = ['TEAM', 'PROJECT', 'PRINCIPAL', 'API_KEY', 'MODEL', 'LABEL_VALUE'] as const
export type CounterPer = (typeof counterPers)[number]

/** Null: one counter for the whole scope. */
export const counterPer = () => oneOf('CounterPer', counterPers).nullable().default(null)

/** A counter for each value needs a label to have values. */
export function perIssues({ scope, per }: { scope: string; per: CounterPer | null }): RuleIssue[] {
  const isWholeLabel = /^label\/[^=]+$/.test(scope)
  if (per !== 'LABEL_VALUE' || isWholeLabel) return []
  return [{ path: ['per'], message: 'LABEL_VALUE needs a scope that is a label without a value, such as label/case' }]
}
