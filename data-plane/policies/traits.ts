/**
 * What conditions ask about a body, whatever its protocol: policies must see what a provider would, and a body that passes as it is
 * may hold more than the form between protocols does. Where protocols spell a thing differently each spelling counts.
 */

/** True where a request offers the model tools, its own or the provider's. */
export function offersTools(body: unknown): boolean {
  const { tools, functions, toolConfig, web_search_options, mcp_servers } = object(body)
  return (
    [tools, functions, object(toolConfig).tools, mcp_servers].some((list) => Array.isArray(list) && list.length > 0) ||
    object(web_search_options) === web_search_options
  )
}

/** True where a request's conversation holds an image. */
export function hasImages(body: unknown): boolean {
  const { messages, input, contents, system, systemInstruction } = object(body)
  return [messages, input, contents, system, systemInstruction].some(holdsImage)
}

/** What the user said last, as far as it is text; empty where there is none. */
export function newestText(body: unknown): string {
  const { messages, input, contents, prompt } = object(body)
  for (const turns of [messages, input, contents, prompt]) {
    if (typeof turns === 'string') return turns
    if (!Array.isArray(turns)) continue
    const last = turns.findLast(
      (turn) => typeof turn === 'string' || [undefined, 'user'].includes(object(turn).role as never),
    )
    return typeof last === 'string' ? last : textOf(last)
  }
  return ''
}

function textOf(turn: unknown): string {
  const { content, parts, text } = object(turn)
  if (typeof text === 'string') return text
  if (typeof content === 'string') return content
  const list = Array.isArray(content) ? content : Array.isArray(parts) ? parts : []
  const texts = list.map((part) => object(part).text).filter((each) => typeof each === 'string')
  return texts.join(' ')
}

const imageTypes = new Set<unknown>(['image_url', 'input_image', 'image', 'computer_screenshot'])

/** Bodies are bounded in depth and number of values when they are admitted. */
function holdsImage(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  if (Array.isArray(value)) return value.some(holdsImage)
  const part = value as Record<string, unknown>
  if (imageTypes.has(part.type) || isImageType(part) || isBedrockImage(part.image)) return true
  return Object.values(part).some(holdsImage)
}

/** `inlineData` and `fileData` of Gemini, in either spelling, and `source` of Anthropic say what they hold. */
function isImageType({ mimeType, mime_type, media_type }: Record<string, unknown>): boolean {
  return [mimeType, mime_type, media_type].some((type) => typeof type === 'string' && /^image\//i.test(type))
}

/** `{ image: { format, source } }` (Bedrock, ContentBlock). */
function isBedrockImage(image: unknown): boolean {
  return 'source' in object(image)
}

const nothing: Record<string, unknown> = {}

function object(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : nothing
}
