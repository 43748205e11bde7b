import { families } from './cells.ts'
import { anthropicVendor } from './vendors/anthropic.ts'
import { azureDeployment, azureVendor, azureVersion } from './vendors/azure.ts'
import { bedrockModel, bedrockVendor } from './vendors/bedrock.ts'
import { geminiModel, geminiVendor } from './vendors/gemini.ts'
import { openaiChatVendor } from './vendors/openai-chat.ts'
import { openaiResponsesVendor } from './vendors/openai-responses.ts'
import type { AwsKeys } from './vendors/sigv4.ts'
import { openStage, type Stage } from './vendors/stage.ts'

export const awsKeys: AwsKeys = {
  ...{ accessKeyId: 'AKIAPROOFPROOFPROOF1', secretAccessKey: 'a/secret+with=signs', sessionToken: 'a session token==' },
}
export const awsRegion = 'eu-central-1'

interface Room {
  stage: Stage
  platform: string
  codec: string
  path: string
  model: string
  more?: string
  key: string
  /** AWS_KEYS where it is not the default. */
  credentialKind?: string
}

/** Every vendor on a port of its own, with a key that only it knows. */
export function openRooms(): Room[] {
  const key = (name: string) => `key-that-only-${name}-knows`
  const room = (vendor: Parameters<typeof openStage>[0], rest: Omit<Room, 'stage' | 'key'>): Room => ({
    ...rest,
    stage: openStage(vendor),
    key: key(vendor.name),
  })
  const bedrockMore = `region: ${awsRegion}`
  return [
    room(openaiChatVendor('openai', key('openai'), false), {
      platform: 'OPENAI',
      codec: 'OPENAI_CHAT',
      path: '/v1',
      model: 'gpt-5-mini',
    }),
    room(openaiChatVendor('compatible', key('compatible'), true), {
      ...{ platform: 'OPENAI_COMPATIBLE', codec: 'OPENAI_CHAT', path: '/v1', model: 'deepseek/reasoner' },
    }),
    room(azureVendor(key('azure')), {
      ...{ platform: 'AZURE_OPENAI', codec: 'OPENAI_CHAT', path: '/openai', model: azureDeployment },
      more: `apiVersion: "${azureVersion}"`,
    }),
    room(openaiResponsesVendor(key('responses')), {
      platform: 'OPENAI',
      codec: 'OPENAI_RESPONSES',
      path: '/v1',
      model: 'gpt-5',
    }),
    room(anthropicVendor(key('anthropic')), {
      ...{ platform: 'ANTHROPIC', codec: 'ANTHROPIC_MESSAGES', path: '/v1', model: 'claude-sonnet-4-5' },
    }),
    room(geminiVendor(key('gemini')), {
      platform: 'GOOGLE_AI',
      codec: 'GEMINI_GENERATE',
      path: '/v1beta',
      model: geminiModel,
    }),
    {
      ...room(bedrockVendor(awsKeys, awsRegion), {
        ...{ platform: 'AWS_BEDROCK', codec: 'BEDROCK_CONVERSE', path: '', model: bedrockModel, more: bedrockMore },
      }),
      ...{
        key: `${awsKeys.accessKeyId}:${awsKeys.secretAccessKey}:${awsKeys.sessionToken}`,
        credentialKind: 'AWS_KEYS',
      },
    },
  ]
}

/** Variables in which the gateway finds the vendors' keys. */
export function secretsOf(rooms: Room[]): Record<string, string> {
  return Object.fromEntries(rooms.map((room) => [variableOf(room), room.key]))
}

const variableOf = ({ stage }: Room) => `PROOF_KEY_${stage.vendor.name.toUpperCase()}`

/** Odd on purpose, and another for each meter, so that a count in the wrong one shows. Per million tokens. */
export const prices: Record<string, string> = {
  INPUT_TOKENS: '1.234567',
  CACHED_INPUT_TOKENS: '0.123457',
  CACHE_WRITE_TOKENS: '1.543209',
  CACHE_WRITE_1H_TOKENS: '2.469133',
  OUTPUT_TOKENS: '7.654321',
  REASONING_TOKENS: '7.765433',
}

/** What `sluice apply` is given. `gpt-5-gemini-*` refuses what Gemini cannot express, `gpt-5-lossy-gemini-*` reports it. */
export function declarationOf(rooms: Room[]): string {
  const documents = rooms.flatMap((room) => {
    const { name } = room.stage.vendor
    return [
      `kind: Provider\nname: ${name}\nplatform: ${room.platform}\ncodecs: [${room.codec}]\nbaseUrl: ${room.stage.url}${room.path}\n${room.more ?? ''}`,
      `kind: Credential\nname: ${name}\nprovider: provider/${name}\ncredentialKind: ${room.credentialKind ?? 'API_KEY'}\nsource: ENVIRONMENT\nlocator: env:${variableOf(room)}`,
      `kind: Model\nname: ${name}\nprovider: provider/${name}\nupstreamName: "${room.model}"\ncontextTokens: 200000\nmaxOutputTokens: 32000`,
      `kind: Route\nname: ${name}\ntargets: [{ model: model/${name}, credential: credential/${name} }]\nretry: { attempts: 1 }\nbreaker: { failures: 1000, window: 10s, coolDown: 1s }\ntimeouts: { firstByte: 5s, idle: 5s, total: 30s }`,
      ...[...new Set(Object.values(families))].flatMap((family) => [
        `kind: Alias\nname: ${family}-${name}-*\nroute: route/${name}`,
        `kind: Alias\nname: ${family}-lossy-${name}-*\nroute: route/${name}\nallowLossy: true`,
      ]),
    ]
  })
  const lines = rooms.flatMap(({ stage }) =>
    Object.entries(prices).map(
      ([meter, amount]) =>
        `  - { model: model/${stage.vendor.name}, meter: ${meter}, amount: "${amount}", per: 1000000 }`,
    ),
  )
  const sheet = `kind: PriceSheet\nname: proof\ncurrency: USD\nlines:\n${lines.join('\n')}`
  return [...documents, sheet].join('\n---\n')
}

export type { Room }
