import type { Call, PassingDialect } from '../../data-plane/codecs/codec.ts'
import { openaiChat } from '../../data-plane/codecs/openai-chat/index.ts'
import { openaiCompletions } from '../../data-plane/codecs/openai-completions/index.ts'
import { openaiEmbeddings } from '../../data-plane/codecs/openai-embeddings/index.ts'
import { openaiResponses } from '../../data-plane/codecs/openai-responses/index.ts'

/** One path of the gateway's surface for applications, and the dialect that is spoken there. */
export interface Door {
  /** As Bun.serve has routes: `:name` is one segment, `*` at the end any number. */
  path: string
  dialect: PassingDialect
  /** What the URL says of the request: a constant where it says nothing; undefined where it is none of this surface. */
  call: Call | ((pathname: string, query: string) => Call | undefined)
}

const generate: Call = { operation: 'generate', query: '' }
const complete: Call = { operation: 'complete', query: '' }
const embed: Call = { operation: 'embed', query: '' }

/** Where requests are posted. */
export const doors: readonly Door[] = [
  { path: '/v1/chat/completions', dialect: openaiChat, call: generate },
  { path: '/v1/responses', dialect: openaiResponses, call: generate },
  { path: '/v1/completions', dialect: openaiCompletions, call: complete },
  { path: '/v1/embeddings', dialect: openaiEmbeddings, call: embed },
  { path: '/openai/v1/chat/completions', dialect: openaiChat, call: generate },
  { path: '/openai/v1/responses', dialect: openaiResponses, call: generate },
  { path: '/openai/v1/completions', dialect: openaiCompletions, call: complete },
  { path: '/openai/v1/embeddings', dialect: openaiEmbeddings, call: embed },
  { path: '/openai/responses', dialect: openaiResponses, call: generate },
  { path: '/openai/deployments/:deployment/chat/completions', dialect: openaiChat, call: ofDeployment('generate') },
  { path: '/openai/deployments/:deployment/completions', dialect: openaiCompletions, call: ofDeployment('complete') },
  { path: '/openai/deployments/:deployment/embeddings', dialect: openaiEmbeddings, call: ofDeployment('embed') },
]

/** Azure's paths name the deployment, which is the model that is asked for. */
function ofDeployment(operation: Call['operation']): Door['call'] {
  return (pathname, query) => {
    const model = decoded(pathname.split('/')[3])
    return model ? { operation, model, query } : undefined
  }
}

function decoded(segment: string | undefined): string | undefined {
  try {
    return segment === undefined ? undefined : decodeURIComponent(segment)
  } catch {
    return undefined
  }
}

/** What is served, for the sentence that says that something else is not. */
export const servedPaths = doors.map(({ path }) => `POST ${path}`)
