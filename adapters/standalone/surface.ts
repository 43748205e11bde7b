import { anthropicMessages } from '../../data-plane/codecs/anthropic-messages/index.ts'
import type { Call, PassingDialect } from '../../data-plane/codecs/codec.ts'
import { geminiGenerate } from '../../data-plane/codecs/gemini-generate/index.ts'
import { geminiCall } from '../../data-plane/codecs/gemini-generate/paths.ts'
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
  { path: '/v1/messages', dialect: anthropicMessages, call: withQuery('generate') },
  { path: '/v1/messages/count_tokens', dialect: anthropicMessages, call: withQuery('count') },
  ...['v1', 'v1beta1'].flatMap(vertexPaths).map((path) => ({ path, dialect: geminiGenerate, call: geminiCall })),
]

/** Below `/v1/models/` and `/v1beta/models/`, where lists of models stand too. */
export const geminiDoor: Door = { path: '/v1beta/models/*', dialect: geminiGenerate, call: geminiCall }

/** As Google's SDK asks Vertex AI, with a project and without (`vertexai: true` and a base URL of its own). */
function vertexPaths(version: string): string[] {
  const below = 'publishers/:publisher/models/*'
  return [`/${version}/${below}`, `/${version}/projects/:project/locations/:location/${below}`]
}

/** Anthropic's clients say `?beta=true` where they use what is not yet for everybody. */
function withQuery(operation: Call['operation']): Door['call'] {
  return (_pathname, query) => ({ operation, query })
}

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

/** The doors as they are told to who stands before none; Azure's and Vertex AI's own forms of them are left out. */
const told = `POST ${['chat/completions', 'responses', 'embeddings', 'completions', 'messages', 'messages/count_tokens']
  .map((path) => `/v1/${path}`)
  .join(', ')}, /v1beta/models/MODEL:generateContent, /openai/deployments/NAME/…, and GET /v1/models`

/** Says what is served instead, and the commonest reason: a base URL with a version for an SDK that brings its own. */
export function unknownSentence(request: Request): string {
  // A host header that is none makes a URL that is none.
  const pathname = URL.parse(request.url)?.pathname ?? 'That path'
  const [, twice] = /^\/(v1|v1beta)\/(?:v1|v1beta|openai)\//.exec(pathname) ?? []
  const advice = twice ? ` Leave /${twice} out of this client's base URL.` : ''
  return `${request.method} ${pathname.slice(0, 100)} is not served; ${told} are.${advice}`
}
