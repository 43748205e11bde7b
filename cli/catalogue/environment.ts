import { type Environment, readSettings } from '../settings.ts'
import { withVersionPath } from './list-models.ts'
import type { ProviderWish } from './resources.ts'

/** What the environment says of providers. */
export interface Found {
  wishes: ProviderWish[]
  /** One sentence for each provider that is meant but cannot be declared from what is there. */
  notes: string[]
}

type Wish = Omit<ProviderWish, 'atMs'>

/**
 * The providers whose keys or addresses stand in the environment; with none, the built-in echo. Keys stay where they are: the
 * gateway reads them there. The models of a self-hosted server are listed with `listModels` before `providerResources` is asked.
 */
export function environmentProviders(env: Environment, atMs: number): Found {
  const notes: string[] = []
  const found = [openai(env), anthropic(env), google(env), azure(env, notes), bedrock(env, notes), selfHosted(env)]
  const wishes = found.flatMap((wish) => (wish ? [{ ...wish, atMs }] : []))
  return { wishes: wishes.length > 0 ? wishes : [{ vendor: 'echo', atMs }], notes }
}

function openai(env: Environment): Wish | undefined {
  return env.OPENAI_API_KEY ? { vendor: 'openai', locator: 'env:OPENAI_API_KEY' } : undefined
}

function anthropic(env: Environment): Wish | undefined {
  return env.ANTHROPIC_API_KEY ? { vendor: 'anthropic', locator: 'env:ANTHROPIC_API_KEY' } : undefined
}

function google(env: Environment): Wish | undefined {
  return env.GEMINI_API_KEY ? { vendor: 'google', locator: 'env:GEMINI_API_KEY' } : undefined
}

/** Azure's models are deployments, which only their owner can name. */
function azure(env: Environment, notes: string[]): Wish | undefined {
  const { AZURE_OPENAI_API_KEY: key, AZURE_OPENAI_ENDPOINT: endpoint, AZURE_OPENAI_DEPLOYMENT: deployments } = env
  if (!key && !endpoint) return undefined
  if (key && endpoint && deployments && URL.canParse(endpoint)) {
    const models = deployments.split(/[\s,]+/).filter(Boolean)
    return {
      ...{ vendor: 'azure', locator: 'env:AZURE_OPENAI_API_KEY', models: models.map((id) => ({ id })) },
      baseUrl: withVersionPath(endpoint, '/openai/v1'),
    }
  }
  notes.push(
    'Azure OpenAI needs AZURE_OPENAI_API_KEY, AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_DEPLOYMENT (names with commas), or `sluice provider add azure`.',
  )
  return undefined
}

function bedrock(env: Environment, notes: string[]): Wish | undefined {
  const variable = ['AWS_BEARER_TOKEN_BEDROCK', 'AWS_ACCESS_KEY_ID'].find((name) => env[name])
  if (!variable) {
    if (env.AWS_PROFILE)
      notes.push(
        'AWS_PROFILE is set, but profiles are not read; Amazon Bedrock takes AWS_ACCESS_KEY_ID or AWS_BEARER_TOKEN_BEDROCK.',
      )
    return undefined
  }
  return {
    vendor: 'bedrock',
    locator: `env:${variable}`,
    region: env.AWS_REGION ?? env.AWS_DEFAULT_REGION ?? 'us-east-1',
  }
}

function selfHosted(env: Environment): Wish | undefined {
  const read = readSettings(env)
  const url = 'settings' in read ? read.settings.selfHostedUrl : null
  return url ? { vendor: 'self-hosted', baseUrl: withVersionPath(url), wildcard: true } : undefined
}
