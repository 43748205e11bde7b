import { join } from 'node:path'

export const root = join(import.meta.dirname, '../../..')

/** The environment without what would reach into a proof: provider keys and settings of whoever runs it. */
export function cleanEnvironment(): Record<string, string> {
  const foreign = /^(SLUICE_|OPENAI_|ANTHROPIC_|GEMINI_|AZURE_OPENAI_|AWS_)/
  const own = Object.entries(process.env).filter(([name]) => !foreign.test(name)) as [string, string][]
  return { BUN_CONFIG_MAX_HTTP_REQUESTS: '16384', ...Object.fromEntries(own) }
}
