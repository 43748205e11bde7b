import type { Reasoning } from './neutral.ts'

export type Effort = NonNullable<Reasoning['effort']>

/** A budget of reasoning tokens as the nearest effort. */
export function effortOf(budgetTokens: number): 'low' | 'medium' | 'high' {
  if (budgetTokens <= 2_048) return 'low'
  return budgetTokens <= 8_192 ? 'medium' : 'high'
}

/** An effort as a budget of reasoning tokens; `effortOf` gives the same effort back, as far as it knows it. */
export const budgetOf: Readonly<Record<Effort, number>> = {
  none: 0,
  minimal: 1_024,
  low: 2_048,
  medium: 8_192,
  high: 16_384,
  xhigh: 32_768,
  max: 65_536,
}
