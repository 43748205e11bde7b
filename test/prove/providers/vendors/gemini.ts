import { type Failure, type Heard, nothingHeard, pieces, type Score, thoughtSignature, type Usage } from '../scenes.ts'
import { firstHalf, type Json, sse, strangers, type Vendor, type Wrong } from './vendor.ts'

export const geminiModel = 'gemini-3-pro-preview'
/** What stands for the signature of a call that another model made (Gemini API, "Thought signatures"). */
const unsigned = 'skip_thought_signature_validator'

const configMembers =
  'responseJsonSchema audioTimestamp candidateCount frequencyPenalty logprobs maxOutputTokens mediaResolution presencePenalty ' +
  'responseFormat responseLogprobs responseMimeType responseModalities responseSchema routingConfig seed speechConfig ' +
  'stopSequences temperature thinkingConfig topK topP enableEnhancedCivicAnswers'

export function geminiVendor(key: string): Vendor {
  return {
    name: 'gemini',
    kinds: ['fresh', 'cached', 'output', 'reasoning'],
    thoughtsShown: true,
    door: (request) => door(request, key),
    hear,
    tell: (score, model) => answerOf(partsOf(score), model, score),
    stream,
    error: errorOf,
    streamType: 'text/event-stream',
  }
}

function door(request: Request, key: string): Wrong | undefined {
  const { pathname, search } = new URL(request.url)
  const path = `/v1beta/models/${geminiModel}`
  const isPlain = pathname === `${path}:generateContent` && search === ''
  if (!isPlain && !(pathname === `${path}:streamGenerateContent` && search === '?alt=sse'))
    return { status: 404, message: `${pathname}${search} is not found` }
  if (request.headers.get('x-goog-api-key') !== key) return { status: 401, message: 'API key not valid' }
  if (request.headers.has('authorization')) return { status: 400, message: 'an authorization header came through' }
  return undefined
}

function hear(body: Json, request: Request): Heard {
  const heard = nothingHeard(new URL(request.url).pathname.endsWith(':streamGenerateContent'))
  const { faults } = heard
  strangers(
    body,
    'contents tools toolConfig safetySettings systemInstruction generationConfig cachedContent labels',
    'body',
    faults,
  )
  const config = body.generationConfig ?? {}
  strangers(config, configMembers, 'generation_config', faults)
  heard.system = (body.systemInstruction?.parts ?? []).map((part: Json) => part.text).join('')
  const { includeThoughts, thinkingBudget, thinkingLevel } = config.thinkingConfig ?? {}
  heard.shows = includeThoughts === true
  heard.thinks = heard.shows || thinkingBudget !== undefined || thinkingLevel !== undefined
  heard.schema = config.responseJsonSchema ?? config.responseSchema
  if (heard.schema && config.responseMimeType !== 'application/json') faults.push('a schema without its mime type')
  for (const tool of body.tools ?? [])
    for (const declared of tool.functionDeclarations ?? []) {
      strangers(
        declared,
        'name description parameters parametersJsonSchema response behavior',
        'function_declarations',
        faults,
      )
      heard.tools.push({ name: declared.name, parameters: declared.parametersJsonSchema ?? declared.parameters })
    }
  hearContents(body.contents, heard)
  return heard
}

function hearContents(contents: Json[], heard: Heard): void {
  const { faults } = heard
  let open: Json[] = []
  for (const [at, { role, parts, ...rest }] of contents.entries()) {
    strangers(rest, '', `contents[${at}]`, faults)
    if (!parts?.length) faults.push(`contents[${at}].parts: must not be empty`)
    const answers = parts.filter((part: Json) => part.functionResponse)
    if (open.length > 0 && answers.length !== open.length)
      faults.push('the number of function response parts is not equal to the number of function call parts')
    if (role === 'model') heard.results = []
    for (const part of parts) hearPart(part, role, heard, open)
    open =
      role === 'model' ? parts.filter((part: Json) => part.functionCall).map((part: Json) => part.functionCall) : []
    const first = parts.find((part: Json) => part.functionCall)
    if (first && !first.thoughtSignature)
      faults.push(`Function call ${first.functionCall.name} is missing a thought_signature`)
  }
  if (open.length > 0) faults.push('the last function call was not answered')
}

function hearPart(part: Json, role: string, heard: Heard, open: Json[]): void {
  const { faults } = heard
  strangers(part, 'text thought thoughtSignature inlineData fileData functionCall functionResponse', 'parts', faults)
  const { thoughtSignature: signature } = part
  if (signature !== undefined && signature !== thoughtSignature && signature !== unsigned)
    faults.push('Thought signature is not valid')
  if (signature === thoughtSignature) heard.thoughts.push({ text: part.text ?? '', signature })
  if (part.functionCall) {
    strangers(part.functionCall, 'id name args', 'function_call', faults)
    heard.calls.push({ id: part.functionCall.id, name: part.functionCall.name, arguments: part.functionCall.args })
  } else if (part.functionResponse) {
    const { id, name, response } = part.functionResponse
    if (!open.some((call) => call.name === name && (call.id ?? id) === id))
      faults.push(`no call for the response of ${name}`)
    if (typeof response !== 'object' || response === null) faults.push('function_response.response: is no Struct')
    const said = response?.output ?? response?.content ?? response
    heard.results.push({ name, text: typeof said === 'string' ? said : JSON.stringify(said) })
  } else if (part.inlineData) {
    heard.images.push({ mediaType: part.inlineData.mimeType, data: part.inlineData.data })
  } else if (part.text !== undefined && role !== 'model' && !part.thought) heard.userText += part.text
}

function usageOf({ fresh, cached, output, reasoning }: Usage): Json {
  return {
    promptTokenCount: fresh + cached,
    ...(cached > 0 && { cachedContentTokenCount: cached }),
    candidatesTokenCount: output,
    ...(reasoning > 0 && { thoughtsTokenCount: reasoning }),
    totalTokenCount: fresh + cached + output + reasoning,
  }
}

/** Parts as they are streamed: thoughts and texts in pieces, calls whole, the first of them signed. */
function partsOf({ thought, text, calls }: Score, size = Number.POSITIVE_INFINITY): Json[] {
  const cut = (whole: string) => (size === Number.POSITIVE_INFINITY ? (whole ? [whole] : []) : pieces(whole, size))
  return [
    ...cut(thought).map((piece) => ({ text: piece, thought: true })),
    ...cut(text).map((piece) => ({ text: piece })),
    ...calls.map(({ id, name, arguments: args }, at) => ({
      functionCall: { id, name, args },
      ...(at === 0 && { thoughtSignature }),
    })),
  ]
}

const answerOf = (parts: Json[], model: string, { usage }: Score, finished = true): object => ({
  candidates: [{ content: { role: 'model', parts }, index: 0, ...(finished && { finishReason: 'STOP' }) }],
  usageMetadata: usageOf(usage),
  modelVersion: model,
  responseId: 'scripted-response',
})

function stream(score: Score, model: string): string[] {
  const { failure, cut } = score
  const parts = partsOf(score, 20)
  const chunks = parts.map((part, at) => answerOf([part], model, score, at === parts.length - 1 && !failure && !cut))
  const told = failure || cut ? firstHalf(chunks) : chunks
  return [...told, ...(failure ? [errorOf(failure)] : [])].map((chunk) => sse(chunk).replace(/\n\n$/, '\r\n\r\n'))
}

const statuses: Record<number, string> = {
  ...{ 400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'NOT_FOUND' },
  ...{ 429: 'RESOURCE_EXHAUSTED', 500: 'INTERNAL', 503: 'UNAVAILABLE', 504: 'DEADLINE_EXCEEDED' },
}

function errorOf({ status, message, retryAfterS }: Failure): object {
  const retry = { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: `${retryAfterS}s` }
  const details = retryAfterS === undefined ? {} : { details: [retry] }
  return { error: { code: status, message, status: statuses[status] ?? 'UNKNOWN', ...details } }
}
