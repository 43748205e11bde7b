import { setTimeout as pause } from 'node:timers/promises'
import { type Client, openClient } from '../api/client.ts'
import { refOf } from '../api/refs.ts'
import { errorFields, idempotencyKey, type UserError, write } from '../api/write.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'

interface Delivery {
  id: string
  event: string
  at: string
  attempts: number
  status: number | null
  delivered: boolean
  fault: string | null
  nextAt: string | null
}

const fields = 'id event at attempts status delivered fault nextAt'
const document = `mutation Test($input: WebhookTestInput!) {
  write: webhookTest(input: $input) { ${errorFields} delivery { ${fields} } }
}`
const question = `query Delivery($id: ID!) { node(id: $id) { ... on WebhookDelivery { ${fields} } } }`

const waitMs = 20_000
const askEveryMs = 250

const advice: Record<string, string> = {
  PLAIN_HTTP: 'declare an https URL, or let the operator allow the host in SLUICE_PRIVATE_HOSTS',
  PRIVATE_ADDRESS: 'its host is at a private address: the operator may allow it in SLUICE_PRIVATE_HOSTS',
  NAME_NOT_FOUND: 'its name is not found from the control plane: is it spelled right?',
  NO_ANSWER: 'nothing answered in time: is it reachable from the control plane?',
}

export default command({
  name: 'webhook test',
  description:
    'Sends a webhook one event that says it is a test, and waits for what comes of it. Exit 1 where it does not arrive.',
  example: 'sluice webhook test pager\nsluice webhook test pager --event CONFIG_CHANGED -o json',
  positionals: [{ name: 'webhook', description: 'name, handle or id', required: true }],
  options: { event: { type: 'string', hint: 'kind', description: 'of the event; default ALERT_RAISED' } },
  async run({ positionals, options, format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const webhook = refOf('webhook', positionals[0]!)
    const event = options.event ?? 'ALERT_RAISED'
    const input = { idempotencyKey: idempotencyKey(), webhook, event }
    type Payload = { errors: UserError[]; delivery: Delivery | null }
    const payload = await write<Payload>(client, document, input, { retry: 'ALWAYS' })
    if (isFailed(payload)) return payload
    if (!payload.delivery) return failed('NO_ANSWER', 'The answer was lost; run the command again.')
    const delivery = await tried(client, payload.delivery)
    if (isFailed(delivery)) return delivery
    show(io, format, { data: delivery, table: () => `${sentenceOf(webhook, delivery)}\n`, names: () => [delivery.id] })
    const way = delivery.fault === null ? undefined : advice[delivery.fault]
    if (way) io.err(`  → ${way}\n`)
    return delivery.delivered ? 0 : 1
  },
})

/** The delivery after its first attempt, or as it is after a while. */
async function tried(client: Client, first: Delivery): Promise<Delivery | Failed> {
  let delivery = first
  const untilMs = performance.now() + waitMs
  while (delivery.attempts === 0 && delivery.nextAt !== null && performance.now() < untilMs) {
    await pause(askEveryMs)
    const answer: { node: Delivery | null } | Failed = await client.ask(question, { id: first.id })
    if (isFailed(answer)) return answer
    delivery = answer.node ?? delivery
  }
  return delivery
}

function sentenceOf(webhook: string, { delivered, status, fault, attempts }: Delivery): string {
  if (delivered) return `${webhook} took it: ${status}.`
  if (attempts === 0) return `${webhook}: not sent yet${fault ? ` (${fault})` : ''}.`
  return `${webhook} did not take it: ${status ?? fault}. It is tried again for about a day.`
}
