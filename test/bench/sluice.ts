import { type Bed, type Subject, startMain, subjectCore } from './bed.ts'
import { alias } from './payload.ts'
import type { RecorderPart } from './recorders.ts'

/** Which parts of a gateway are on; what is not said is as the product has it. */
export interface Parts {
  recorder?: RecorderPart
  /** Waits for durability are noted, to be taken from `said.waits`. */
  timed?: boolean
  /** What the provider speaks; chat completions unless said otherwise. */
  codec?: 'OPENAI_CHAT' | 'ANTHROPIC_MESSAGES'
  /** Budgets at four levels and two rate limits, none of them ever reached. */
  governed?: boolean
  /** A process of its own, though another has the same parts. */
  apart?: string
}

/** A standalone gateway with these parts, one process for all rows that want the same. */
export async function sluice(bed: Bed, parts: Parts = {}): Promise<Subject> {
  const stub = await bed.stub()
  return bed.subject(`Sluice ${JSON.stringify(parts)}`, async () => {
    const { started, said } = await startMain('gateway-main.ts', subjectCore, {
      BENCH_UPSTREAM: stub.url,
      BENCH_DATA_DIR: bed.folder('journal'),
      BENCH_RECORDER: parts.recorder ?? 'journal',
      ...(parts.codec && { BENCH_CODEC: parts.codec }),
      ...(parts.governed && { BENCH_GOVERNED: '1' }),
      ...(parts.timed && { BENCH_TIMED: '1' }),
    })
    const headers = { authorization: `Bearer ${said.key}` }
    return { started, subject: { url: said.url as string, headers, model: alias, said } }
  })
}
