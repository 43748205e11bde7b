/** A provider that can be added by name. */
export interface Vendor {
  /** As the API says it. */
  platform: string
  title: string
  /** Null: it must be given. */
  baseUrl: string | null
  /** Ids in the catalogues of prices and of abilities; null = none lists it. */
  prices: string | null
  abilities: string | null
  /** Names of models that are for chat completions, and not for its other endpoints; absent = all. */
  chats?: (model: string) => boolean
  /** The variable under which its users keep their key. */
  variable: string | null
  /** The wire protocol that its own endpoint speaks, where this version has no codec for it. */
  unbuilt?: string
  selfHosted?: boolean
}

const codec = (name: string) => `the codec ${name} is not built yet`

/**
 * OpenAI's chat models. Its catalogue also lists what is served by other endpoints: images, speech, realtime, completions,
 * and the models that only the Responses API serves (codex, deep research, computer use, -pro).
 */
const openaiElsewhere =
  /audio|realtime|image|transcribe|tts|instruct|search|oss|codex|research|computer|vision|-pro$|0301|-32k|-16k|:|preview|\.ft-/
const openaiChats = (model: string) => /^(gpt-|chatgpt-|o\d)/.test(model) && !openaiElsewhere.test(model)

export const vendors: Record<string, Vendor> = {
  openai: {
    platform: 'OPENAI',
    title: 'OpenAI',
    baseUrl: 'https://api.openai.com/v1',
    prices: 'openai',
    abilities: 'openai',
    chats: openaiChats,
    variable: 'OPENAI_API_KEY',
  },
  anthropic: {
    platform: 'ANTHROPIC',
    title: 'Anthropic',
    baseUrl: null,
    prices: 'anthropic',
    abilities: 'anthropic',
    variable: 'ANTHROPIC_API_KEY',
    unbuilt: codec('anthropic-messages'),
  },
  google: {
    platform: 'GOOGLE_AI',
    title: 'Google Gemini',
    baseUrl: null,
    prices: 'google',
    abilities: 'google',
    variable: 'GEMINI_API_KEY',
    unbuilt: codec('gemini-generate'),
  },
  azure: {
    platform: 'AZURE_OPENAI',
    title: 'Azure OpenAI',
    baseUrl: null,
    prices: 'azure',
    abilities: 'azure',
    variable: 'AZURE_OPENAI_API_KEY',
    unbuilt: "Azure's deployments are not built yet",
  },
  bedrock: {
    platform: 'AWS_BEDROCK',
    title: 'Amazon Bedrock',
    baseUrl: null,
    prices: 'aws',
    abilities: 'amazon-bedrock',
    variable: 'AWS_BEARER_TOKEN_BEDROCK',
    unbuilt: codec('bedrock-converse'),
  },
  'self-hosted': {
    platform: 'OPENAI_COMPATIBLE',
    title: 'a self-hosted model server',
    baseUrl: null,
    prices: null,
    abilities: null,
    variable: null,
    selfHosted: true,
  },
  echo: {
    platform: 'ECHO',
    title: 'the built-in echo',
    baseUrl: null,
    prices: null,
    abilities: null,
    variable: null,
    selfHosted: true,
  },
}

export const vendorNames = Object.keys(vendors)
