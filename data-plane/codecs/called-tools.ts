import type { Tool, Turn } from './neutral.ts'

/**
 * The tools that a conversation has called, for providers that refuse calls and results of tools which the request does not
 * declare. Their arguments are as they were: nothing is to be called again.
 */
export function calledTools(turns: readonly Turn[]): Tool[] {
  const names = new Set<string>()
  for (const { parts } of turns) for (const part of parts) if (part.type === 'toolCall') names.add(part.name)
  return [...names].map((name) => ({ name, description: null, parameters: null, strict: null }))
}
