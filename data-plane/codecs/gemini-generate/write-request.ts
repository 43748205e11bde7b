import type { Encoded, EncodeTarget } from '../codec.ts'
import type { Json } from '../json.ts'
import type { Feature, NeutralRequest } from '../neutral.ts'
import { outputLimit } from '../neutral-ceiling.ts'
import { geminiPath } from './paths.ts'
import { thinkingConfig } from './thinking.ts'
import { writeContents } from './write-contents.ts'

type Lost = Set<Feature>

/** Writes a neutral request as a generateContent request. */
export function writeGeminiRequest(request: NeutralRequest, target: EncodeTarget): Encoded & { lost: Feature[] } {
  const lost: Lost = new Set()
  const config = generationConfig(request, target, lost)
  if (request.user !== null) lost.add('user')
  const body = {
    ...systemInstruction(request, lost),
    contents: writeContents(request.turns, target, lost),
    ...toolFields(request, lost),
    ...(Object.keys(config).length > 0 && { generationConfig: config }),
  }
  const method = request.streamed ? 'streamGenerateContent' : 'generateContent'
  return { path: geminiPath(target, method), body: JSON.stringify(body), lost: [...lost] }
}

function given(fields: Json): Json {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null))
}

function systemInstruction({ system }: NeutralRequest, lost: Lost): Json {
  if (system.some(({ cache }) => cache)) lost.add('caching')
  return system.length > 0 ? { systemInstruction: { parts: system.map(({ text }) => ({ text })) } } : {}
}

/** Gemini's own bounds: five stop sequences, twenty alternatives per token, seeds of 32 bits. */
const stopsMax = 5
const logprobsMax = 20

function generationConfig(request: NeutralRequest, target: EncodeTarget, lost: Lost): Json {
  const { sampling, stop, logprobs } = request
  if (stop.length > stopsMax) lost.add('stop')
  if (logprobs && logprobs.top > logprobsMax) lost.add('logprobs')
  return {
    ...given({
      temperature: sampling.temperature,
      topP: sampling.topP,
      topK: sampling.topK,
      seed: seedOf(sampling.seed, lost),
      presencePenalty: sampling.presencePenalty,
      frequencyPenalty: sampling.frequencyPenalty,
      maxOutputTokens: outputLimit(request, target.model),
    }),
    ...(request.choices > 1 && { candidateCount: request.choices }),
    ...(stop.length > 0 && { stopSequences: stop.slice(0, stopsMax) }),
    ...(logprobs && { responseLogprobs: true }),
    ...(logprobs && logprobs.top > 0 && { logprobs: Math.min(logprobs.top, logprobsMax) }),
    ...formatFields(request),
    ...thinkingConfig(request.reasoning, target.upstreamName, lost),
  }
}

function seedOf(seed: number | null, lost: Lost): number | null {
  if (seed === null || (seed | 0) === seed) return seed
  lost.add('seed')
  return null
}

function formatFields({ output }: NeutralRequest): Json {
  if (output.type === 'text') return {}
  if (output.type === 'json') return { responseMimeType: 'application/json' }
  return { responseMimeType: 'application/json', responseJsonSchema: output.schema }
}

function toolFields({ tools, toolChoice, parallelToolCalls }: NeutralRequest, lost: Lost): Json {
  if (tools.length === 0) return {}
  if (tools.some(({ cache }) => cache)) lost.add('caching')
  if (tools.some(({ strict }) => strict)) lost.add('strictTools')
  if (parallelToolCalls === false) lost.add('parallelToolCalls')
  const functionDeclarations = tools.map(({ name, description, parameters }) => ({
    name,
    ...given({ description, parametersJsonSchema: parameters }),
  }))
  return { tools: [{ functionDeclarations }], ...toolConfig(toolChoice) }
}

function toolConfig(choice: NeutralRequest['toolChoice']): Json {
  if (choice === 'auto') return {}
  if (choice === 'none') return { toolConfig: { functionCallingConfig: { mode: 'NONE' } } }
  const allowed = typeof choice === 'object' && { allowedFunctionNames: [choice.name] }
  return { toolConfig: { functionCallingConfig: { mode: 'ANY', ...allowed } } }
}
