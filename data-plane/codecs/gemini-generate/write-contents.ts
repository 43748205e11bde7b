import type { EncodeTarget } from '../codec.ts'
import type { Json } from '../json.ts'
import type { Feature, FilePart, ImagePart, Part, Source, ToolCall, ToolResult, Turn } from '../neutral.ts'
import { isMadeUp } from './ids.ts'
import { audioType, typeOfAddress } from './media.ts'
import { asksForSignatures, unsignedCall } from './signatures.ts'

type Lost = Set<Feature>

/** Turns as contents: those of one role that follow each other are one, as parallel results must be. */
export function writeContents(turns: readonly Turn[], { upstreamName }: EncodeTarget, lost: Lost): Json[] {
  const names = new Map<string, string>()
  const asks = asksForSignatures(upstreamName)
  const contents: { role: string; parts: Json[] }[] = []
  for (const turn of turns) {
    const role = turn.role === 'assistant' ? 'model' : 'user'
    if (turn.role === 'system') lost.add('systemInside')
    const parts = role === 'model' ? modelParts(turn.parts, asks, names, lost) : userParts(turn.parts, names, lost)
    const before = contents.at(-1)
    if (before?.role === role) before.parts.push(...parts)
    else if (parts.length > 0) contents.push({ role, parts })
  }
  return contents
}

/** Results stand in the order they are given, and first: Gemini matches those of one name by order. */
function userParts(parts: readonly Part[], names: Map<string, string>, lost: Lost): Json[] {
  const results = parts.filter((part) => part.type === 'toolResult')
  const others = parts.filter((part) => part.type !== 'toolResult')
  // An answer to a call is one object: what else it brought follows as the user's.
  const brought = results.flatMap(({ parts: inner }) => inner.filter(({ type }) => type !== 'text'))
  noteCaching([...parts, ...results.flatMap(({ parts: inner }) => inner)], lost)
  return [
    ...results.map((result) => resultOf(result, names)),
    ...[...brought, ...others].flatMap((part) => partOf(part, lost) ?? []),
  ]
}

function resultOf({ id, name, parts, isError }: ToolResult, names: Map<string, string>): Json {
  const text = parts.map((part) => (part.type === 'text' ? part.text : '')).join('')
  const response = { [isError ? 'error' : 'output']: text }
  return { functionResponse: { ...idOf(id), name: name ?? names.get(id) ?? 'unknown', response } }
}

const idOf = (id: string) => (isMadeUp(id) ? {} : { id })

/**
 * What signed a thought goes onto the part behind it, as Gemini told it. The first call of a turn must be signed by some
 * models: one that another protocol made gets the signature that stands for none.
 */
function modelParts(parts: readonly Part[], asks: boolean, names: Map<string, string>, lost: Lost): Json[] {
  noteCaching(parts, lost)
  const written: Json[] = []
  let signature: string | undefined
  for (const part of parts) {
    if (part.type === 'thought') {
      if (part.text && !part.encrypted) written.push({ text: part.text, thought: true })
      if (part.signature?.from !== 'GEMINI_GENERATE') {
        if (part.signature) lost.add('signatures')
        continue
      }
      if (signature !== undefined) written.push({ text: '', thoughtSignature: signature })
      signature = part.signature.value
    } else {
      const told = part.type === 'toolCall' ? callOf(part, names, lost) : partOf(part, lost)
      if (!told) continue
      if (signature !== undefined) told.thoughtSignature ??= signature
      signature = undefined
      written.push(told)
    }
  }
  if (signature !== undefined) written.push({ text: '', thoughtSignature: signature })
  return asks ? signFirstCall(written, lost) : written
}

function signFirstCall(parts: Json[], lost: Lost): Json[] {
  const first = parts.find((part) => part.functionCall)
  if (!first || first.thoughtSignature) return parts
  lost.add('signatures')
  first.thoughtSignature = unsignedCall
  return parts
}

function callOf({ id, name, arguments: text, signature }: ToolCall, names: Map<string, string>, lost: Lost): Json {
  names.set(id, name)
  const own = signature?.from === 'GEMINI_GENERATE' && { thoughtSignature: signature.value }
  if (signature && !own) lost.add('signatures')
  return { functionCall: { ...idOf(id), name, args: argumentsOf(text, lost) }, ...own }
}

/** Gemini takes arguments as an object, and nothing else. */
function argumentsOf(text: string, lost: Lost): Json {
  if (text.trim() === '') return {}
  try {
    const value = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // told below
  }
  lost.add('tools')
  return {}
}

function partOf(part: Part, lost: Lost): Json | undefined {
  if (part.type === 'text') return { text: part.text }
  if (part.type === 'refusal') {
    lost.add('refusals')
    return { text: part.text }
  }
  if (part.type === 'audio') return { inlineData: { mimeType: audioType(part.format), data: part.data } }
  if (part.type === 'image') return imageOf(part, lost)
  if (part.type === 'file') return fileOf(part, lost)
  return undefined
}

function imageOf({ source, detail }: ImagePart, lost: Lost): Json | undefined {
  if (detail === 'low' || detail === 'high') lost.add('imageDetail')
  return mediaOf(source, 'imageUrls', lost)
}

const fileOf = ({ source }: FilePart, lost: Lost) => mediaOf(source, 'fileUrls', lost)

/** Google has to be told what is at an address. */
function mediaOf(source: Source, feature: Feature, lost: Lost): Json | undefined {
  if (source.kind === 'data') return { inlineData: { mimeType: source.mediaType, data: source.data } }
  const mimeType = source.mediaType ?? typeOfAddress(source.url)
  if (mimeType !== undefined) return { fileData: { mimeType, fileUri: source.url } }
  lost.add(feature)
  return undefined
}

function noteCaching(parts: readonly Part[], lost: Lost): void {
  if (parts.some((part) => 'cache' in part && part.cache)) lost.add('caching')
}
