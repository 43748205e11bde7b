import { checkedModelsMax } from '../../../schema/link.ts'

/**
 * The models in a provider's list, whichever of the forms it has: `data[].id` (OpenAI, Anthropic), `models[].name` (Gemini),
 * `modelSummaries[].modelId` (Bedrock), or a bare list. Undefined where the text is no list of models.
 */
export function modelNames(text: string): string[] | undefined {
  const listed = listIn(text)
  if (!listed) return undefined
  const names = listed.map(nameOf).filter((name) => name !== undefined)
  // Entries without one name among them are a list of something else.
  if (names.length === 0 && listed.length > 0) return undefined
  return [...new Set(names)].slice(0, checkedModelsMax + 1)
}

function listIn(text: string): unknown[] | undefined {
  try {
    const body = JSON.parse(text)
    return [body, body?.data, body?.models, body?.modelSummaries].find(Array.isArray)
  } catch {
    return undefined
  }
}

function nameOf(entry: unknown): string | undefined {
  const { id, modelId, name } = (entry ?? {}) as Record<string, unknown>
  const found = id ?? modelId ?? name
  if (typeof found !== 'string' || !/^[\x21-\x7e]+$/.test(found)) return undefined
  return found.replace(/^models\//, '')
}
