import { join } from 'node:path'
import { z } from 'zod'
import { readJson, writeDurably } from '../instance-files.ts'

const count = z.int().min(0)

/** What an instance had of a tenant's limits when it last wrote it down. */
const kept = z.object({
  parts: z.array(z.object({ at: count, of: z.int().min(1) })).max(32),
  /** Only of one that stopped in good order: where its counters stood. */
  stopped: z
    .object({
      atMs: z.number(),
      counters: z.array(
        z.object({ limit: z.string(), subject: z.string().nullable(), span: count, tickMs: count, debt: count }),
      ),
    })
    .nullable(),
})
export type KeptShares = z.output<typeof kept>
const shape = z.record(z.string(), kept)

/** Shares on disk, so that a gateway that starts without its control plane knows what is its own. */
export class ShareFiles {
  readonly #path: string

  constructor(dataDir: string) {
    this.#path = join(dataDir, 'limit-shares.json')
  }

  read(): Map<string, KeptShares> {
    return new Map(Object.entries(shape.safeParse(readJson(this.#path)).data ?? {}))
  }

  write(all: ReadonlyMap<string, KeptShares>): void {
    writeDurably(this.#path, JSON.stringify(Object.fromEntries(all)))
  }
}
