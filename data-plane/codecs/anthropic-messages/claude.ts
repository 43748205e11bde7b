/** What a Claude model takes. The Messages API refuses what a model does not, and the models differ by generation. */
export interface ClaudeTraits {
  /** It can think before it answers (3.7 and later). */
  thinks: boolean
  /** Thinking by a fixed budget of tokens: up to 4.6. */
  budget: boolean
  /** `adaptive` thinking, steered by `output_config.effort`: 4.6 and later. */
  adaptive: boolean
  /** `thinking: disabled`: not Opus 5.5, Fable 5.1 and Mythos, nor their successors. */
  thinkingOff: boolean
  /** `tool_choice` of `any` and of one tool: not those either. */
  forcedTools: boolean
  /** `temperature`, `top_p`, `top_k`: up to 4.6. */
  sampling: boolean
  /** `output_config.format` and strict tools: 4.5 and later, and Opus 4.1. */
  schemas: boolean
  /** Effort above `high` and below `max`: 4.7 and later. */
  xhigh: boolean
  /** A message of the role `system`: Opus 4.8, all of 5 and later. */
  systemInside: boolean
}

/**
 * Reads them off the model's name, wherever it is served (`claude-opus-4-5-20251101`, `us.anthropic.claude-sonnet-4-6-v1:0`,
 * `claude-3-7-sonnet@20250219`). A name that says nothing is taken for a model of today.
 */
export function claudeTraits(name: string): ClaudeTraits {
  const version = versionOf(name)
  const isBound = /mythos/.test(name) || (/fable/.test(name) && version >= 5.1) || (/opus/.test(name) && version >= 5.5)
  return {
    thinks: version >= 3.7,
    budget: version <= 4.6,
    adaptive: version >= 4.6,
    thinkingOff: !isBound,
    forcedTools: !isBound,
    sampling: version < 4.7,
    schemas: version >= 4.5 || (version === 4.1 && /opus/.test(name)),
    xhigh: version >= 4.7,
    systemInside: version >= 5 || (version === 4.8 && /opus/.test(name)),
  }
}

/** `claude-3-7-sonnet` and `claude-opus-4-5` alike; a date (eight digits) is no minor version. */
const numbers = /claude-(?:[a-z]+-)?(\d{1,2})(?:[-.](\d{1,2})(?!\d))?/

function versionOf(name: string): number {
  const match = numbers.exec(name.slice(0, 300).toLowerCase())
  return match ? Number(match[1]) + Number(match[2] ?? 0) / 10 : today
}

const today = 5
