import { renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ProviderBill } from './provider-bill.ts'
import { type Sluice, startSluice } from './sluice.ts'

/** A provider whose answers cost as many cents as the question says, and that bills them by the proof's clock. */
export function centUpstream(clock: HandClock) {
  const bill = new ProviderBill()
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: async (request) => {
      const { model, max_tokens: cents } = (await request.json()) as { model: string; max_tokens: number }
      bill.add(clock.nowMs, cents)
      const message = { role: 'assistant', content: 'Spent.' }
      return Response.json({
        ...{ id: 'chatcmpl-1', object: 'chat.completion', created: 0, model },
        choices: [{ index: 0, message, finish_reason: 'stop' }],
        usage: { prompt_tokens: 1, completion_tokens: cents, total_tokens: cents + 1 },
      })
    },
  })
  return { url: `http://127.0.0.1:${server.port}/v1`, bill, stop: () => server.stop(true) }
}

/** Each project has a budget of its own; the rules are on their team. */
const projects = {
  steps: { period: 'DAY', limit: 10, thresholds: '[50, 80]' },
  fast: { period: 'MONTH', limit: 1_000, thresholds: '[]' },
  slow: { period: 'DAY', limit: 24, thresholds: '[]' },
}
export type ProjectName = keyof typeof projects

const rules = ['BUDGET_THRESHOLD', 'BUDGET_EXHAUSTED', 'BURN_RATE', 'BUDGET_FORECAST']

export const declaration = (upstream: string, receiver: string) => `
kind: Provider
name: cents
platform: OPENAI_COMPATIBLE
baseUrl: ${upstream}
selfHosted: true
---
kind: Model
name: cents
provider: provider/cents
upstreamName: cents
contextTokens: 4096
maxOutputTokens: 4096
---
kind: PriceSheet
name: cents
currency: USD
lines:
  - { model: model/cents, meter: INPUT_TOKENS, amount: "0", per: 1000000 }
  - { model: model/cents, meter: OUTPUT_TOKENS, amount: "10000", per: 1000000 }
---
kind: Alias
name: cents
model: model/cents
---
kind: Team
name: spenders
---
kind: Webhook
name: pager
url: ${receiver}
${rules
  .map(
    (on) => `---
kind: AlertRule
name: ${on.toLowerCase().replaceAll('_', '-')}
scope: team/spenders
on: ${on}
webhooks: [webhook/pager]
`,
  )
  .join('')}${Object.entries(projects)
  .map(
    ([name, { period, limit, thresholds }]) => `---
kind: Project
name: ${name}
team: team/spenders
purpose: To spend
---
kind: Budget
name: ${name}
scope: project/${name}
period: ${period}
limit: { amount: "${limit}", currency: USD }
thresholds: ${thresholds}
`,
  )
  .join('')}`

/** Time as the proof says it: both processes read it from a file, which is replaced whole. */
export class HandClock {
  readonly path: string
  #nowMs: number

  constructor(folder: string, startMs: number) {
    this.path = join(folder, 'clock')
    this.#nowMs = startMs
    this.advance(0)
  }

  get nowMs(): number {
    return this.#nowMs
  }

  advance(ms: number): void {
    this.#nowMs += ms
    writeFileSync(`${this.path}.next`, String(this.#nowMs))
    renameSync(`${this.path}.next`, this.path)
  }
}

/** What `alerts` tells of one. */
export interface ToldAlert {
  id: string
  trigger: string
  summary: string
  at: string
  resolvedAt: string | null
  figures: Record<string, string>
  subject: { name: string } | null
}

const alertsQuery = `{ alerts(first: 100) { nodes { id trigger summary at resolvedAt figures subject { name } } } }`

/** A whole Sluice on the proof's clock, with a key for each project. */
export class AlertHouse {
  private constructor(
    readonly sluice: Sluice,
    readonly clock: HandClock,
    readonly keys: Record<ProjectName, string>,
  ) {}

  static async start(folder: string, clock: HandClock, files: string): Promise<AlertHouse> {
    const sluice = await startSluice(join(folder, 'data'), {
      SLUICE_CLOCK: clock.path,
      SLUICE_PRIVATE_HOSTS: '127.0.0.1',
    })
    const file = join(folder, 'house.yaml')
    writeFileSync(file, files)
    const applied = await sluice.command('apply', '-f', file, '--yes')
    if (applied.code !== 0) throw new Error('the declaration was not applied; why is above')
    const keys: [string, string][] = []
    for (const name of Object.keys(projects)) {
      const { out } = await sluice.command('key', 'issue', name, '--project', name)
      keys.push([name, out.trim()])
    }
    return new AlertHouse(sluice, clock, Object.fromEntries(keys) as Record<ProjectName, string>)
  }

  /** One request that costs so many cents; its status. */
  async spend(project: ProjectName, cents: number): Promise<number> {
    const answer = await fetch(`${this.sluice.running.gateway}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${this.keys[project]}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'cents', max_tokens: cents, messages: [{ role: 'user', content: 'Spend.' }] }),
    })
    await answer.arrayBuffer()
    return answer.status
  }

  async alerts(): Promise<ToldAlert[]> {
    return (await this.sluice.ask<{ alerts: { nodes: ToldAlert[] } }>(alertsQuery)).alerts.nodes
  }

  /** Waits, in real time, for alerts of a budget by a trigger; those that there are then. */
  async told(trigger: string, budget: ProjectName, count = 1, withinMs = 10_000): Promise<ToldAlert[]> {
    const untilMs = performance.now() + withinMs
    for (;;) {
      const found = (await this.alerts()).filter((one) => one.trigger === trigger && one.subject?.name === budget)
      if (found.length >= count || performance.now() > untilMs) return found
      await Bun.sleep(100)
    }
  }
}
