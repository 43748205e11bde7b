/** A model that a server says it serves. */
export interface ListedModel {
  id: string
  /** Where the server tells, as vLLM and llama.cpp do. */
  contextTokens: number | null
}

const timeoutMs = 5_000
const modelsMax = 1_000
const answerBytesMax = 4 * 1024 * 1024

/** `http://host:8000` means `http://host:8000/v1`, as servers of the OpenAI protocol print their own address. */
export function withVersionPath(url: string, path = '/v1'): string {
  const parsed = new URL(url)
  return parsed.pathname === '/' ? `${parsed.origin}${path}` : url.replace(/\/+$/, '')
}

/** Asks an OpenAI-compatible server what it serves (`GET /models`); a sentence where it does not say. */
export async function listModels(
  baseUrl: string,
  secret?: string,
): Promise<{ models: ListedModel[] } | { unlisted: string }> {
  let body: string
  try {
    const answer = await fetch(`${baseUrl}/models`, {
      headers: secret ? { authorization: `Bearer ${secret}` } : {},
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    body = await answer.text()
    if (!answer.ok) return { unlisted: `${baseUrl}/models answered ${answer.status}` }
  } catch (error) {
    return { unlisted: `${baseUrl} does not answer (${(error as { code?: string }).code ?? 'no connection'})` }
  }
  if (body.length > answerBytesMax) return { unlisted: `${baseUrl}/models answered too much` }
  const models = readList(body)
  return models ? { models } : { unlisted: `${baseUrl}/models did not answer a list of models` }
}

function readList(body: string): ListedModel[] | undefined {
  try {
    const { data } = JSON.parse(body) as { data?: unknown }
    if (!Array.isArray(data)) return undefined
    return data
      .slice(0, modelsMax)
      .filter((model): model is Listed => typeof model?.id === 'string')
      .map((model) => ({ id: model.id, contextTokens: contextOf(model) }))
  } catch {
    return undefined
  }
}

/** vLLM says `max_model_len`, llama.cpp `meta.n_ctx`. */
interface Listed {
  id: string
  max_model_len?: unknown
  meta?: { n_ctx?: unknown }
}

function contextOf(model: Listed): number | null {
  const found = model.max_model_len ?? model.meta?.n_ctx
  return Number.isSafeInteger(found) && (found as number) > 0 ? (found as number) : null
}
