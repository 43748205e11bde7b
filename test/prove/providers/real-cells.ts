import OpenAI, { AzureOpenAI } from 'openai'
import type { ModelServer } from '../../real/model-server.ts'
import { families } from './cells.ts'
import type { Client, Door, Told } from './clients/client.ts'
import type { Scene } from './scenes.ts'
import { tools } from './scenes.ts'

/** What a real model's server speaks itself: the same answers, with another codec of ours behind them. */
export const realCodecs = {
  llama: 'OPENAI_CHAT',
  'llama-responses': 'OPENAI_RESPONSES',
  'llama-messages': 'ANTHROPIC_MESSAGES',
}
export type RealName = keyof typeof realCodecs

export function realDeclaration(model: ModelServer): string {
  return Object.entries(realCodecs)
    .flatMap(([name, codec]) => [
      `kind: Provider\nname: ${name}\nplatform: OPENAI_COMPATIBLE\ncodecs: [${name === 'llama' ? 'OPENAI_CHAT, OPENAI_EMBEDDINGS, OPENAI_COMPLETIONS' : codec}]\nbaseUrl: ${model.url}/v1\nselfHosted: true`,
      `kind: Model\nname: ${name}\nprovider: provider/${name}\nupstreamName: "${model.model}"\ncontextTokens: 2048\nmaxOutputTokens: 100`,
      ...[...new Set(Object.values(families))].map(
        (family) => `kind: Alias\nname: ${family}-${name}\nmodel: model/${name}\nallowLossy: true`,
      ),
    ])
    .join('\n---\n')
}

const manners: [Scene, boolean][] = [
  ['plain', false],
  ['plain', true],
  ['tools', false],
  ['tools', true],
  ['schema', false],
]

/** What the model's server itself does not hold to, whoever asks: schemas beside chat, and indexes in its streams of responses. */
function isBeyondServer(name: RealName, client: Client, scene: Scene, streamed: boolean): boolean {
  if (scene === 'schema') return name !== 'llama'
  return name === 'llama-responses' && client.name === 'openai responses' && streamed
}

/** The model speaks and does not obey, so what is held to is what the protocols and the grammar promise. */
export async function playReal(clients: Client[], door: Door, isQuick: boolean) {
  const names = isQuick ? (['llama'] as RealName[]) : (Object.keys(realCodecs) as RealName[])
  const short: string[] = []
  let cells = 0
  // In the quick form each client plays one manner, so that each is played once.
  for (const name of names)
    for (const [at, client] of clients.entries())
      for (const [scene, streamed] of isQuick ? manners.slice(at, at + 1) : manners) {
        if (isBeyondServer(name, client, scene, streamed)) continue
        cells++
        const where = `${client.name} → real ${name}, ${scene}${streamed ? ' streamed' : ''}`
        try {
          const faults = await playOnce(client, name, scene, streamed)
          short.push(...faults.map((fault) => `${where}: ${fault}`))
        } catch (error) {
          short.push(`${where}: ${String(error).slice(0, 300)}`)
        }
      }
  const passing = await playPassing(door)
  return { short: [...short, ...passing], figures: { real: cells + 4 } }
}

/** It calls a tool almost always, and comes to the end of the call mostly, so it is asked again where it did not. */
async function playOnce(
  client: Client,
  name: RealName,
  scene: Scene,
  streamed: boolean,
  triesLeft = 4,
): Promise<string[]> {
  const ask = () => client.ask({ model: `${families[client.dialect]}-${name}`, scene, id: 'real', streamed })
  if (scene !== 'tools') return faultsOf(scene, await ask())
  // A call that its limit cut off is no JSON, which some clients throw at.
  const faults = await ask().then(
    (told) => faultsOf(scene, told),
    (error) => [String(error).slice(0, 300)],
  )
  return faults.length > 0 && triesLeft > 1 ? playOnce(client, name, scene, streamed, triesLeft - 1) : faults
}

function faultsOf(scene: Scene, { text, calls, usage }: Told): string[] {
  const faults: string[] = []
  if (!(usage.input > 0 && usage.output > 0)) faults.push(`usage ${JSON.stringify(usage)}`)
  if (scene === 'plain' && text === '') faults.push('no text')
  if (scene === 'schema' && !/^\s*\{\s*"city"\s*:/.test(text))
    faults.push(`not held to the schema: ${text.slice(0, 80)}`)
  if (scene === 'tools')
    for (const { name, arguments: given } of calls.length > 0 ? calls : [{ name: 'none', arguments: {} }]) {
      const required = tools[name as keyof typeof tools]?.parameters.required
      if (typeof given !== 'object' || !required?.every((each) => each in given!))
        faults.push(`call of ${name} with ${JSON.stringify(given)}`)
    }
  return faults
}

/** Embeddings and completions of texts pass, by OpenAI's paths and by Azure's. */
async function playPassing({ origin, key }: Door): Promise<string[]> {
  const short: string[] = []
  const openai = new OpenAI({ baseURL: `${origin}/v1`, apiKey: key })
  const azure = new AzureOpenAI({ endpoint: origin, apiKey: key, apiVersion: '2025-04-01-preview' })
  const azureV1 = new OpenAI({ baseURL: `${origin}/openai/v1`, apiKey: key })
  const model = `${families.chat}-llama`
  const lengths = await Promise.all(
    [openai, azure, azureV1].map(async (client) => {
      const { data, usage } = await client.embeddings.create({ model, input: ['one', 'two, three'] })
      return [data.length, data[0]!.embedding.length > 100, usage.prompt_tokens > 0]
    }),
  )
  for (const each of lengths)
    if (JSON.stringify(each) !== '[2,true,true]') short.push(`embeddings: ${JSON.stringify(each)}`)
  const { choices } = await openai.completions.create({ model, prompt: 'One, two,', max_tokens: 8 })
  if (!choices[0]?.text) short.push('a completion without text')
  return short
}
