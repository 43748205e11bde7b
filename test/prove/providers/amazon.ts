import { BedrockRuntimeClient, ConverseCommand, ConverseStreamCommand } from '@aws-sdk/client-bedrock-runtime'
import { awsKeys, awsRegion } from './house.ts'
import { called, cueOf, plainText, type Scene, thought, thoughtSignature, tools } from './scenes.ts'
import { bedrockModel } from './vendors/bedrock.ts'
import type { Stage } from './vendors/stage.ts'
import type { Json } from './vendors/vendor.ts'

/** Amazon's own client, straight at the scripted Bedrock: what it reads there is what was meant, and its signatures hold. */
export async function amazonReads(stage: Stage): Promise<{ short: string[]; figures: { amazon: number } }> {
  const client = new BedrockRuntimeClient({
    ...{ region: awsRegion, credentials: awsKeys, maxAttempts: 1, endpoint: stage.url, requestHandler: { handle } },
  })
  const short: string[] = []
  const scenes: Scene[] = ['plain', 'tools', 'thinking', 'cached']
  for (const scene of scenes)
    for (const streamed of [false, true]) {
      const id = `amazon_${scene}_${streamed}`
      const told = await (streamed ? readStream(client, requestOf(scene, id)) : readWhole(client, requestOf(scene, id)))
      const visit = stage.visits.get(id)?.[0]
      const usage = visit?.score?.usage
      const expected = {
        text: scene === 'plain' || scene === 'cached' ? plainText : '',
        thought: scene === 'thinking' ? thought + thoughtSignature : '',
        calls: called.slice(0, { tools: 2, thinking: 1 }[scene as string] ?? 0),
        usage: [usage?.fresh, usage?.output, usage?.cached, (usage?.write5m ?? 0) + (usage?.write1h ?? 0)],
      }
      if (JSON.stringify(told) !== JSON.stringify(expected))
        short.push(
          `@aws-sdk/client-bedrock-runtime reads ${JSON.stringify(told)} of ${id} instead of ${JSON.stringify(expected)}`,
        )
      if (visit?.wrong !== null)
        short.push(`the scripted Bedrock refuses @aws-sdk/client-bedrock-runtime: ${visit?.wrong}`)
    }
  await expectFault(client, short)
  return { short, figures: { amazon: scenes.length * 2 + 1 } }
}

/** Bun has no server of plain HTTP/2, which is what this client speaks; all but the connection is its own. */
async function handle({ method, hostname, port, path, headers, body }: Json) {
  const answer = await fetch(`http://${hostname}:${port}${path}`, { method, headers, body })
  return {
    response: { statusCode: answer.status, headers: Object.fromEntries(answer.headers), body: answer.body } as never,
  }
}

const requestOf = (scene: Scene, id: string): Json => ({
  modelId: bedrockModel,
  messages: [{ role: 'user', content: [{ text: cueOf(scene, id) }] }],
  inferenceConfig: { maxTokens: 4_000 },
  additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 1_024 } },
  toolConfig: {
    tools: Object.entries(tools).map(([name, { description, parameters }]) => ({
      toolSpec: { name, description, inputSchema: { json: parameters } },
    })),
  },
})

const countsOf = (usage: Json) => [
  ...[usage?.inputTokens, usage?.outputTokens, usage?.cacheReadInputTokens, usage?.cacheWriteInputTokens],
]

async function readWhole(client: BedrockRuntimeClient, request: Json) {
  const { output, usage } = await client.send(new ConverseCommand(request))
  const content: Json[] = output?.message?.content ?? []
  const reasoning = content.map(({ reasoningContent: each }) =>
    each ? each.reasoningText.text + each.reasoningText.signature : '',
  )
  return {
    text: content.map(({ text }) => text ?? '').join(''),
    thought: reasoning.join(''),
    calls: content.flatMap(({ toolUse }) => (toolUse ? [{ name: toolUse.name, arguments: toolUse.input }] : [])),
    usage: countsOf(usage),
  }
}

async function readStream(client: BedrockRuntimeClient, request: Json) {
  const told = { text: '', thought: '', calls: [] as Json[], usage: [] as Json[] }
  const { stream } = await client.send(new ConverseStreamCommand(request))
  for await (const event of stream as AsyncIterable<Json>) {
    const delta = event.contentBlockDelta?.delta
    told.text += delta?.text ?? ''
    told.thought += delta?.reasoningContent?.text ?? delta?.reasoningContent?.signature ?? ''
    const begun = event.contentBlockStart?.start?.toolUse
    if (begun) told.calls.push({ name: begun.name, arguments: '' })
    if (delta?.toolUse) told.calls.at(-1).arguments += delta.toolUse.input
    if (event.metadata) told.usage = countsOf(event.metadata.usage)
  }
  return { ...told, calls: told.calls.map((call) => ({ ...call, arguments: JSON.parse(call.arguments) })) }
}

async function expectFault(client: BedrockRuntimeClient, short: string[]): Promise<void> {
  try {
    await readStream(client, requestOf('inside', 'amazon_inside'))
    short.push('@aws-sdk/client-bedrock-runtime takes the scripted exception for an answer')
  } catch (error) {
    const { name } = error as Error
    if (name !== 'ServiceUnavailableException')
      short.push(`@aws-sdk/client-bedrock-runtime reads ${name} for the scripted exception`)
  }
}
