import { PacedClient } from './paced-client.ts'

/** Sends one request after the other at a fixed rate, whether answered or not, and prints what it saw as JSON. */
const { url, headers, body, perS, durationS } = JSON.parse(await Bun.stdin.text()) as {
  url: string
  headers: Record<string, string>
  body: string
  perS: number
  durationS: number
}

const drainMs = 5_000
const client = new PacedClient(new URL(url), headers, body)
const total = Math.round(perS * durationS)
const startedMs = performance.now()
while (client.sent < total) {
  const due = Math.min(total, Math.floor(((performance.now() - startedMs) / 1000) * perS) + 1)
  while (client.sent < due) await client.send()
  const nextMs = startedMs + (client.sent / perS) * 1000 - performance.now()
  await Bun.sleep(Math.max(0, nextMs))
}
const tookS = (performance.now() - startedMs) / 1000
while (client.unanswered > 0 && performance.now() - startedMs < durationS * 1000 + drainMs) await Bun.sleep(5)
console.log(JSON.stringify({ ...client.seen, sent: client.sent, unanswered: client.unanswered, tookS }))
process.exit(0)
