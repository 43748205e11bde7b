import { describe, expect, it } from 'vitest'
import { hasImages, offersTools } from './traits.ts'

describe('tools', () => {
  it.each([
    ['OpenAI', { tools: [{ type: 'function' }] }],
    ['OpenAI, as they were called before', { functions: [{ name: 'f' }] }],
    ['OpenAI, the provider’s own', { web_search_options: {} }],
    ['Anthropic, of a server', { mcp_servers: [{ type: 'url' }] }],
    ['Gemini', { tools: [{ functionDeclarations: [] }] }],
    ['Bedrock', { toolConfig: { tools: [{ toolSpec: {} }] } }],
  ])('are seen as %s has them', (_, body) => expect(offersTools(body)).toBe(true))

  it('are not there where their list is empty, or only spoken of', () => {
    for (const body of [{}, { tools: [] }, { tools: null }, { messages: [{ role: 'tool', content: 'tools' }] }, null])
      expect(offersTools(body)).toBe(false)
  })
})

describe('images', () => {
  const turn = (...content: object[]) => ({ role: 'user', content })
  it.each([
    ['OpenAI', { messages: [turn({ type: 'image_url', image_url: { url: 'https://x' } })] }],
    ['OpenAI responses', { input: [turn({ type: 'input_image', file_id: 'f' })] }],
    ['Anthropic', { messages: [turn({ type: 'image', source: { type: 'url', url: 'https://x' } })] }],
    [
      'Anthropic, within a tool’s result',
      { messages: [turn({ type: 'tool_result', content: [{ type: 'image', source: {} }] })] },
    ],
    ['Gemini', { contents: [{ parts: [{ inlineData: { mimeType: 'image/png', data: 'AAAA' } }] }] }],
    ['Gemini, in its other spelling', { contents: [{ parts: [{ file_data: { mime_type: 'IMAGE/JPEG' } }] }] }],
    ['Bedrock', { messages: [turn({ image: { format: 'png', source: { bytes: 'AAAA' } } })] }],
  ])('are seen as %s has them', (_, body) => expect(hasImages(body)).toBe(true))

  it('are not there where the conversation is text, whatever tools speak of', () => {
    const tools = [{ function: { parameters: { properties: { image: { type: 'string' } } } } }]
    expect(hasImages({ messages: [{ role: 'user', content: 'an image, image/png' }], tools })).toBe(false)
    expect(hasImages({ messages: [turn({ type: 'text', text: 'image_url' })], input: 'image' })).toBe(false)
  })
})
