import type { Codec, Platform } from '../../schema/config/index.ts'

/** A provider that can be added by name. */
export interface Vendor {
  platform: Platform
  title: string
  /** What it is asked in, the preferred first. */
  codecs: Codec[]
  /** Null: it must be given, or follows from the region. */
  baseUrl: string | null
  /** What an address that is given lacks at its end, where it names no version. */
  basePath?: string
  /** Ids in the catalogues of prices and of abilities; null = none lists it. */
  prices: string | null
  abilities: string | null
  /** Names of models that its codecs serve; absent = all. */
  serves?: (model: string) => boolean
  /** The variable under which its users keep their key. */
  variable: string | null
  /** How the secret under another variable proves the gateway. */
  credentialKind?: (variable: string) => string
  /** It is asked in a region, which must be known. */
  regional?: boolean
  /** Its models are named by those who deploy them, so they must be named here too. */
  deployments?: boolean
  selfHosted?: boolean
}

/**
 * OpenAI's models for chats and embeddings. Its catalogue also lists what is served by other endpoints: images, speech, realtime,
 * and the models that only the Responses API serves (codex, deep research, computer use, -pro).
 */
const openaiElsewhere =
  /audio|realtime|image|transcribe|tts|instruct|search|oss|codex|research|computer|vision|-pro$|0301|-32k|-16k|:|preview|\.ft-/
const openaiServes = (model: string) =>
  /^(gpt-|chatgpt-|o\d|text-embedding)/.test(model) && !openaiElsewhere.test(model)

/** Gemini's models that write; those that speak, draw, or only embed are asked elsewhere. */
const geminiServes = (model: string) =>
  /^(gemini-\d|gemma-)/.test(model) && !/embedding|tts|live|image|omni|vision/.test(model)

/** Bedrock's models that Converse serves. */
const bedrockServes = (model: string) => !/sonic|embed|voxtral|^ai21\.j2|titan-image/.test(model)

export const vendors: Record<string, Vendor> = {
  openai: {
    platform: 'OPENAI',
    title: 'OpenAI',
    codecs: ['OPENAI_CHAT', 'OPENAI_RESPONSES', 'OPENAI_EMBEDDINGS', 'OPENAI_COMPLETIONS'],
    baseUrl: 'https://api.openai.com/v1',
    prices: 'openai',
    abilities: 'openai',
    serves: openaiServes,
    variable: 'OPENAI_API_KEY',
  },
  anthropic: {
    platform: 'ANTHROPIC',
    title: 'Anthropic',
    codecs: ['ANTHROPIC_MESSAGES'],
    baseUrl: 'https://api.anthropic.com/v1',
    basePath: '/v1',
    prices: 'anthropic',
    abilities: 'anthropic',
    variable: 'ANTHROPIC_API_KEY',
  },
  google: {
    platform: 'GOOGLE_AI',
    title: 'Google Gemini',
    codecs: ['GEMINI_GENERATE'],
    baseUrl: 'https://generativelanguage.googleapis.com/v1beta',
    basePath: '/v1beta',
    prices: 'google',
    abilities: 'google',
    serves: geminiServes,
    variable: 'GEMINI_API_KEY',
  },
  azure: {
    platform: 'AZURE_OPENAI',
    title: 'Azure OpenAI',
    codecs: ['OPENAI_CHAT', 'OPENAI_RESPONSES', 'OPENAI_EMBEDDINGS'],
    baseUrl: null,
    basePath: '/openai/v1',
    // Azure lists OpenAI's models at OpenAI's prices, and the catalogue knows more of the latter.
    prices: 'openai',
    abilities: 'openai',
    variable: 'AZURE_OPENAI_API_KEY',
    deployments: true,
  },
  bedrock: {
    platform: 'AWS_BEDROCK',
    title: 'Amazon Bedrock',
    codecs: ['BEDROCK_CONVERSE'],
    baseUrl: null,
    prices: 'aws',
    abilities: 'amazon-bedrock',
    serves: bedrockServes,
    variable: 'AWS_BEARER_TOKEN_BEDROCK',
    credentialKind: (variable) => (variable === 'AWS_ACCESS_KEY_ID' ? 'AWS_KEYS' : 'API_KEY'),
    regional: true,
  },
  'self-hosted': {
    platform: 'OPENAI_COMPATIBLE',
    title: 'a self-hosted model server',
    codecs: ['OPENAI_CHAT', 'OPENAI_EMBEDDINGS', 'OPENAI_COMPLETIONS'],
    baseUrl: null,
    basePath: '/v1',
    prices: null,
    abilities: null,
    variable: null,
    selfHosted: true,
  },
  echo: {
    platform: 'ECHO',
    title: 'the built-in echo',
    codecs: ['OPENAI_CHAT'],
    baseUrl: null,
    prices: null,
    abilities: null,
    variable: null,
    selfHosted: true,
  },
}

export const vendorNames = Object.keys(vendors)
