import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Bed, loadCore, type Subject } from './bed.ts'
import type { Seen } from './paced-client.ts'
import { requestBody } from './payload.ts'
import { percentile } from './statistics.ts'

export interface Paced extends Seen {
  sent: number
  unanswered: number
  tookS: number
}

/** Requests at a fixed rate from a process of its own; the rate is kept whether they are answered or not. */
export async function paced(subject: Subject, streamed: boolean, perS: number, durationS: number): Promise<Paced> {
  const program = fileURLToPath(new URL('paced-main.ts', import.meta.url))
  const child = spawn('taskset', ['-c', loadCore, process.execPath, program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const url = `${subject.url}/v1/chat/completions`
  const headers = { 'content-type': 'application/json', ...subject.headers }
  child.stdin.end(JSON.stringify({ url, headers, body: requestBody(subject.model, streamed), perS, durationS }))
  let output = ''
  child.stdout.on('data', (data) => {
    output += data
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`The paced load to ${url} ended with ${code}.`)
  const seen = JSON.parse(output) as Paced
  if (seen.failed > 0 || seen.unanswered > 0)
    throw new Error(`${seen.failed} of ${seen.sent} paced requests to ${url} failed, ${seen.unanswered} had no answer.`)
  return seen
}

const ratesPerS = [1_000, 500, 200, 100]
const holdsBelowMs = 50
const trialS = 1

/** The highest of 1,000, 500, 200 and 100 requests a second that the subject holds here: on time, p99 within 50 ms. */
export function rateHeld(bed: Bed, subject: Subject, streamed: boolean): Promise<number> {
  return bed.once(`rate ${subject.url} ${streamed}`, async () => {
    for (const perS of ratesPerS) {
      // The first trial warms up; the second is looked at.
      await paced(subject, streamed, perS, bed.length.warmUpS).catch(() => {})
      const seen = await paced(subject, streamed, perS, trialS).catch(() => undefined)
      if (seen && seen.tookS < trialS * 1.1 && percentile(seen.wholeMs, 0.99) < holdsBelowMs) return perS
    }
    return ratesPerS.at(-1)!
  })
}
