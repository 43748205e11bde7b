import type { Json } from '../json.ts'
import type { Feature, Reasoning } from '../neutral.ts'

/**
 * `thinkingConfig` for a family of models: Gemini 2.5 takes a budget of tokens, later ones a level, earlier ones and other
 * families neither (Gemini API, "Thinking"). The budgets are those of Google's own OpenAI-compatible endpoint.
 */
export function thinkingConfig(reasoning: Reasoning, upstreamName: string, lost: Set<Feature>): Json {
  const { effort, budgetTokens, shown } = reasoning
  if (effort === null && budgetTokens === null && shown === null) return {}
  if (takesNone.test(upstreamName)) {
    if (budgetTokens !== null || (effort !== null && effort !== 'none')) lost.add('reasoning')
    return {}
  }
  const asked = takesBudgets.test(upstreamName)
    ? budgetOf(reasoning, upstreamName, lost)
    : levelOf(reasoning, upstreamName, lost)
  const thinking = { ...asked, ...(shown !== null && { includeThoughts: shown }) }
  return Object.keys(thinking).length > 0 ? { thinkingConfig: thinking } : {}
}

const takesNone = /\b(gemini-1|gemini-2\.0|gemma|learnlm)/
const takesBudgets = /\bgemini-2\.5/

const budgets = { minimal: 1_024, low: 1_024, medium: 8_192, high: 24_576, xhigh: 24_576, max: 24_576 }

/** The large model cannot do without; 128 tokens are its least. */
function budgetOf({ effort, budgetTokens }: Reasoning, upstreamName: string, lost: Set<Feature>): Json {
  if (effort === 'none' && /-pro\b/.test(upstreamName)) {
    lost.add('reasoning')
    return { thinkingBudget: 128 }
  }
  if (budgetTokens !== null) return { thinkingBudget: budgetTokens }
  if (effort === null) return {}
  return { thinkingBudget: effort === 'none' ? 0 : budgets[effort] }
}

/** None of these can do without; the large ones know no level below LOW. */
function levelOf({ effort, budgetTokens }: Reasoning, upstreamName: string, lost: Set<Feature>): Json {
  if (effort === 'none') lost.add('reasoning')
  const least = /-pro\b/.test(upstreamName) ? 'LOW' : 'MINIMAL'
  if (effort === 'none' || effort === 'minimal') return { thinkingLevel: least }
  if (effort !== null) return { thinkingLevel: effort === 'xhigh' || effort === 'max' ? 'HIGH' : effort.toUpperCase() }
  // Accepted beside levels for older callers' sake, and exact where a level would be a guess.
  return budgetTokens === null ? {} : { thinkingBudget: budgetTokens }
}
