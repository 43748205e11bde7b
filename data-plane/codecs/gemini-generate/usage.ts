import type { Meter } from '../../../schema/config/index.ts'
import type { Reading } from '../../reading.ts'
import { reportedTier } from '../ceiling-parts.ts'
import type { Json } from '../json.ts'
import { camel } from './names.ts'

/**
 * `usageMetadata` as disjoint meters: the prompt's count holds cached content and audio, the candidates' holds audio, and what
 * tools read and what the model thought are counted beside them (Gemini API reference, UsageMetadata). Undefined where it is
 * no usage: a part larger than its whole, or no count at all.
 */
export function readUsage(value: unknown): Reading[] | undefined {
  const usage = camel(value)
  const prompt = count(usage.promptTokenCount ?? (usage.totalTokenCount == null ? undefined : 0))
  const cached = count(usage.cachedContentTokenCount ?? 0)
  const tools = count(usage.toolUsePromptTokenCount ?? 0)
  const candidates = count(usage.candidatesTokenCount ?? 0)
  const thoughts = count(usage.thoughtsTokenCount ?? 0)
  if (prompt === undefined || cached === undefined || tools === undefined) return undefined
  if (candidates === undefined || thoughts === undefined || cached > prompt) return undefined
  const cachedAudio = audioOf(usage.cacheTokensDetails)
  const audioIn = Math.max(0, audioOf(usage.promptTokensDetails) - cachedAudio)
  const audioOut = audioOf(usage.candidatesTokensDetails)
  if (audioIn > prompt - cached || cachedAudio > cached || audioOut > candidates) return undefined
  return [
    reading('INPUT_TOKENS', prompt - cached - audioIn + tools),
    ...some('CACHED_INPUT_TOKENS', cached - cachedAudio),
    ...some('CACHED_AUDIO_INPUT_TOKENS', cachedAudio),
    ...some('AUDIO_INPUT_TOKENS', audioIn),
    reading('OUTPUT_TOKENS', candidates - audioOut),
    ...some('REASONING_TOKENS', thoughts),
    ...some('AUDIO_OUTPUT_TOKENS', audioOut),
  ]
}

const reading = (meter: Meter, quantity: number): Reading => ({ meter, quantity, source: 'REPORTED' })
const some = (meter: Meter, quantity: number): Reading[] => (quantity > 0 ? [reading(meter, quantity)] : [])

/** AI Studio names the tier, Vertex the kind of traffic: `ON_DEMAND_PRIORITY` (Gemini API reference, UsageMetadata). */
export function tierOf(value: unknown): string | undefined {
  const { serviceTier, trafficType } = camel(value)
  return reportedTier(serviceTier ?? (typeof trafficType === 'string' ? trafficType.replace(/^ON_DEMAND_/, '') : null))
}

function audioOf(details: unknown): number {
  if (!Array.isArray(details)) return 0
  const audio = details.map(camel).find(({ modality }) => modality === 'AUDIO')
  return count(audio?.tokenCount ?? 0) ?? 0
}

/** A token count; more than 10⁹ in one answer is a provider's bug and is not billed from. */
function count(value: unknown): number | undefined {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 1e9
    ? (value as number)
    : undefined
}

/** Disjoint meters as Gemini counts. */
export function writeUsage(readings: readonly Reading[]): Json {
  const of = (...meters: Meter[]) =>
    readings.reduce((sum, { meter, quantity }) => (meters.includes(meter) ? sum + quantity : sum), 0)
  const cached = of('CACHED_INPUT_TOKENS', 'CACHED_AUDIO_INPUT_TOKENS')
  const thoughts = of('REASONING_TOKENS')
  const prompt = of('INPUT_TOKENS', 'CACHE_WRITE_TOKENS', 'CACHE_WRITE_1H_TOKENS', 'AUDIO_INPUT_TOKENS') + cached
  const candidates = of('OUTPUT_TOKENS', 'AUDIO_OUTPUT_TOKENS')
  return {
    promptTokenCount: prompt,
    ...(cached > 0 && { cachedContentTokenCount: cached }),
    candidatesTokenCount: candidates,
    ...(thoughts > 0 && { thoughtsTokenCount: thoughts }),
    totalTokenCount: prompt + candidates + thoughts,
    ...audioDetails('promptTokensDetails', prompt, of('AUDIO_INPUT_TOKENS', 'CACHED_AUDIO_INPUT_TOKENS')),
    ...audioDetails('cacheTokensDetails', cached, of('CACHED_AUDIO_INPUT_TOKENS')),
    ...audioDetails('candidatesTokensDetails', candidates, of('AUDIO_OUTPUT_TOKENS')),
  }
}

function audioDetails(name: string, whole: number, audio: number): Json {
  if (audio === 0) return {}
  const text = { modality: 'TEXT', tokenCount: whole - audio }
  return { [name]: [text, { modality: 'AUDIO', tokenCount: audio }] }
}
