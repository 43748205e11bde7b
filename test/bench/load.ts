import { type LoadResult, wrk } from '../real/wrk.ts'
import { type Bed, loadCore, type Subject } from './bed.ts'
import { type Asked, pathOf, requestIn } from './payload.ts'
import { cpuSeconds, residentMb } from './process-figures.ts'
import type { Sample } from './row.ts'

const connections = 32

/** As many requests as the subject answers, over 32 connections: how many, what each cost, how long each took. */
export async function fullLoad(
  subject: Subject,
  streamed: boolean,
  durationS: number,
  asked: Asked = 'chat',
): Promise<Sample & LoadResult> {
  const before = cpuSeconds(subject.pid)
  const load = await wrk({
    url: `${subject.url}${pathOf[asked]}`,
    headers: { 'content-type': 'application/json', ...subject.headers },
    body: requestIn(asked, subject.model, streamed),
    connections,
    durationS,
    cores: loadCore,
  })
  checkAnswered(subject, load)
  return {
    ...load,
    perS: load.requestsPerS,
    cpuUs: ((cpuSeconds(subject.pid) - before) / load.requests) * 1e6,
    p50Ms: load.latencyMs.p50,
    p99Ms: load.latencyMs.p99,
    rssMb: residentMb(subject.pid),
  }
}

/** A rate of refusals is no rate. */
function checkAnswered(subject: Subject, { requests, errors }: LoadResult): void {
  const failed = errors.connect + errors.read + errors.write + errors.timeout + errors.status
  if (requests === 0 || failed > 0)
    throw new Error(`${failed} of ${requests} requests to ${subject.url} failed: ${JSON.stringify(errors)}`)
}

/** The sample of one round at full load; the first time a subject is asked for, it is warmed up. */
export async function measureFullLoad(
  bed: Bed,
  name: string,
  subject: Subject,
  streamed: boolean,
  asked?: Asked,
): Promise<Sample> {
  await bed.once(`warm ${name} ${streamed}`, () => fullLoad(subject, streamed, bed.length.warmUpS, asked))
  return fullLoad(subject, streamed, bed.length.roundS, asked)
}
