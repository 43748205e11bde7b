import { isRefusal, type Refusal } from '../../../schema/refusals.ts'
import { wrongField } from '../admission.ts'
import type { Json } from '../json.ts'
import type { AudioPart, FilePart, ImagePart, Part, Thought, ToolCall, ToolResult, Turn } from '../neutral.ts'
import { madeUpId } from './ids.ts'
import { audioFormat } from './media.ts'
import { camel } from './names.ts'
import { unsignedCall, untag } from './signatures.ts'

/** The conversation as turns. Calls without ids get some, and results find their calls by name and order. */
export function readContents(contents: unknown[], foreign: string[]): Turn[] | Refusal {
  const calls = new OpenCalls()
  const turns: Turn[] = []
  for (const [index, given] of contents.entries()) {
    const { role = 'user', parts } = camel(given)
    const at = `contents.${index}`
    if (!Array.isArray(parts)) return wrongField(`${at}.parts`, 'must be a list')
    if (role !== 'user' && role !== 'model' && role !== 'function')
      return wrongField(`${at}.role`, 'must be user or model')
    const read: Part[] = []
    for (const [place, part] of parts.entries()) {
      const some = readPart(camel(part), `${at}.parts.${place}`, calls, foreign)
      if (isRefusal(some)) return some
      read.push(...some)
    }
    turns.push({ role: role === 'model' ? 'assistant' : 'user', parts: joinThoughts(read) })
  }
  return turns
}

/** Calls that wait for their results, oldest first. */
class OpenCalls {
  readonly #open: { id: string; name: string }[] = []
  #count = 0

  made(given: unknown, name: string): string {
    const id = typeof given === 'string' && given ? given : madeUpId('', 0, this.#count)
    this.#count++
    this.#open.push({ id, name })
    return id
  }

  answered(given: unknown, name: string): string {
    const byId = this.#open.findIndex((call) => call.id === given)
    const at = byId >= 0 ? byId : this.#open.findIndex((call) => call.name === name)
    const [call] = at >= 0 ? this.#open.splice(at, 1) : []
    if (call) return call.id
    return typeof given === 'string' && given ? given : madeUpId('', 0, this.#count++)
  }
}

/** Members of a part that say how it is told, or that stand beside what it is. */
const beside = new Set(['thought', 'thoughtSignature', 'partMetadata'])

function readPart(part: Json, at: string, calls: OpenCalls, foreign: string[]): Part[] | Refusal {
  const { text, inlineData, fileData, functionCall, functionResponse, ...others } = part
  for (const name of Object.keys(others)) if (!beside.has(name) && others[name] != null) foreign.push(`${at}.${name}`)
  if (functionCall != null) return readCall(part, camel(functionCall), at, calls)
  if (functionResponse != null) return readResult(camel(functionResponse), at, calls, foreign)
  const media =
    inlineData != null ? readInline(camel(inlineData)) : fileData != null ? readLinked(camel(fileData)) : null
  if (media) return [media]
  if (media === undefined) foreign.push(inlineData != null ? `${at}.inlineData` : `${at}.fileData`)
  return typeof text === 'string' ? readText(part, text) : []
}

function readText({ thought, thoughtSignature }: Json, text: string): Part[] {
  const signed = typeof thoughtSignature === 'string' && thoughtSignature ? [untag(thoughtSignature)] : []
  if (thought !== true) return text === '' ? signed : [...signed, { type: 'text', text }]
  if (signed.length === 0) return [{ type: 'thought', text, signature: null, encrypted: false }]
  return signed.map((one) => ({ ...one, text: one.text || text }))
}

/** What signs a call goes with it; reasoning of another protocol that stands there goes before it. */
function readCall({ thoughtSignature: value }: Json, given: Json, at: string, calls: OpenCalls): Part[] | Refusal {
  const { id, name, args } = given
  if (typeof name !== 'string') return wrongField(`${at}.functionCall.name`, 'must be a name')
  const thought = typeof value === 'string' && value !== '' && value !== unsignedCall ? untag(value) : undefined
  const own = thought?.signature?.from === 'GEMINI_GENERATE' ? thought.signature : undefined
  const made = { id: calls.made(id, name), name, arguments: JSON.stringify(args ?? {}) }
  const call: ToolCall = { type: 'toolCall', ...made, ...(own && { signature: own }) }
  return thought && !own ? [thought, call] : [call]
}

/** A result is an object; by convention a text stands under `output`, what went wrong under `error`. */
function readResult(given: Json, at: string, calls: OpenCalls, foreign: string[]): Part[] | Refusal {
  const { id, name, response, parts = [], ...others } = given
  if (typeof name !== 'string') return wrongField(`${at}.functionResponse.name`, 'must be a name')
  for (const other of Object.keys(others)) if (others[other] != null) foreign.push(`${at}.functionResponse.${other}`)
  const [key] = Object.keys(response ?? {})
  const alone = key !== undefined && Object.keys(response).length === 1 ? response[key] : undefined
  const isTold = typeof alone === 'string' && (key === 'output' || key === 'error')
  const text = isTold ? alone : JSON.stringify(response ?? {})
  const result: ToolResult = {
    type: 'toolResult',
    id: calls.answered(id, name),
    name,
    parts: [{ type: 'text', text }],
    isError: isTold && key === 'error',
  }
  for (const [index, part] of (Array.isArray(parts) ? parts : []).entries()) {
    const media = readInline(camel(camel(part).inlineData))
    if (media && media.type !== 'audio') result.parts.push(media)
    else foreign.push(`${at}.functionResponse.parts.${index}`)
  }
  return [result]
}

/** Bytes in the body; protobuf's JSON form takes either alphabet of base64. */
function readInline({ mimeType, data, displayName }: Json): ImagePart | FilePart | AudioPart | undefined {
  if (typeof mimeType !== 'string' || typeof data !== 'string') return undefined
  const bytes = /[-_]/.test(data) ? Buffer.from(data, 'base64url').toString('base64') : data
  const source = { kind: 'data', mediaType: mimeType, data: bytes } as const
  if (mimeType.startsWith('image/')) return { type: 'image', source }
  const format = audioFormat(mimeType)
  if (format) return { type: 'audio', data: bytes, format }
  if (mimeType.startsWith('video/') || mimeType.startsWith('audio/')) return undefined
  return { type: 'file', source, name: typeof displayName === 'string' ? displayName : null }
}

/** An address that anybody can read; Google's own files (`gs://`, the Files API) are readable to Google alone. */
function readLinked({ fileUri, mimeType }: Json): ImagePart | FilePart | undefined {
  const url = typeof fileUri === 'string' ? URL.parse(fileUri) : null
  if (!url || !/^https?:$/.test(url.protocol) || url.hostname === 'generativelanguage.googleapis.com') return undefined
  const mediaType = typeof mimeType === 'string' ? mimeType : undefined
  if (mediaType && /^(video|audio)\//.test(mediaType)) return undefined
  const source = { kind: 'url', url: fileUri, ...(mediaType && { mediaType }) } as const
  return mediaType?.startsWith('image/') ? { type: 'image', source } : { type: 'file', source, name: null }
}

/** Pieces of one thought are one; where its signature holds the text too, that is the whole of it. */
function joinThoughts(parts: Part[]): Part[] {
  const joined: Part[] = []
  for (const part of parts) {
    const before = joined.at(-1)
    const thought = part.type === 'thought' && before?.type === 'thought' && !before.signature ? part : undefined
    if (thought) joined[joined.length - 1] = follow(before as Thought, thought)
    else joined.push(part)
  }
  return joined
}

function follow(before: Thought, { text, ...rest }: Thought): Thought {
  const isRepeated = rest.signature !== null && text === before.text
  return { ...rest, text: isRepeated ? text : before.text + text }
}
