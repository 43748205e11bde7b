import { budgetOf, type Effort, effortOf } from '../effort.ts'
import type { Feature, NeutralRequest } from '../neutral.ts'
import type { ClaudeTraits } from './claude.ts'
import { budgetMin } from './request.ts'

export interface Thinking {
  type: 'enabled' | 'adaptive' | 'disabled'
  budget_tokens?: number
  display?: 'summarized' | 'omitted'
}

export interface HowToThink {
  thinking?: Thinking
  /** `output_config.effort`. */
  effort?: string
}

/**
 * How a Claude model is asked to think: by effort where it thinks adaptively, else by a budget. `limit` is `max_tokens`, which
 * bounds thinking too; `mayThink` is false where the API would refuse it in this call, which is then made without.
 */
export function thinkingOf(
  request: NeutralRequest,
  claude: ClaudeTraits,
  limit: number,
  mayThink: boolean,
  lost: Set<Feature>,
): HowToThink {
  const { effort, budgetTokens, shown } = request.reasoning
  // Who says whether thoughts are shown wants them thought.
  const asks = effort !== null || budgetTokens !== null || shown !== null
  if (!asks) return {}
  if (effort === 'none' || budgetTokens === 0) return withoutThinking(claude, lost)
  if (!claude.thinks) {
    lost.add('reasoning')
    return {}
  }
  const isForced = request.toolChoice === 'required' || typeof request.toolChoice === 'object'
  if (!mayThink || (isForced && claude.forcedTools)) {
    lost.add('reasoningNow')
    return {}
  }
  const display = shown === null ? {} : { display: shown ? ('summarized' as const) : ('omitted' as const) }
  if (claude.adaptive) {
    const level = effort ?? (budgetTokens === null ? null : effortOf(budgetTokens))
    return { thinking: { type: 'adaptive', ...display }, ...(level && { effort: levelOf(level, claude) }) }
  }
  return byBudget(budgetTokens ?? budgetOf[effort ?? 'medium'], limit, display, lost)
}

function withoutThinking(claude: ClaudeTraits, lost: Set<Feature>): HowToThink {
  if (!claude.thinkingOff) lost.add('reasoning')
  return claude.thinks && claude.thinkingOff ? { thinking: { type: 'disabled' } } : {}
}

function levelOf(effort: Effort, claude: ClaudeTraits): string {
  if (effort === 'minimal') return 'low'
  return effort === 'xhigh' && !claude.xhigh ? 'max' : effort
}

/** A budget leaves half of the limit for the answer, unless that is less than the API takes. */
function byBudget(wanted: number, limit: number, display: object, lost: Set<Feature>): HowToThink {
  const budget = Math.max(budgetMin, Math.min(wanted, Math.floor(limit / 2)))
  if (budget < limit) return { thinking: { type: 'enabled', budget_tokens: budget, ...display } }
  lost.add('reasoningNow')
  return {}
}
