import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'
import type { Seal } from '../../air-gap/seal.ts'
import { dsse, keyDelta } from '../../schema/link.ts'
import {
  makePrivateFolder,
  readIfPresentLater,
  readJson,
  syncFolderLater,
  writeDurablyLater,
  writeWholeLater,
} from './instance-files.ts'

const count = z.int().min(0)
const stateShape = z.object({
  /** The newest envelope that was ever taken. */
  taken: z.object({ sequence: count, contentDigest: z.string().max(64), revision: count }),
  heardAtMs: z.number(),
  deltas: z.array(keyDelta),
  deltaNumber: count,
})
export type TenantState = z.output<typeof stateShape>

/** Tenant ids become file names, so nothing but these may be one. */
const fileName = /^[A-Za-z0-9_-]{1,64}$/

export function isTenantName(tenant: string): boolean {
  return fileName.test(tenant)
}

/**
 * Snapshots on disk: parts by digest, shared by all tenants; per tenant the envelope that is active and what must
 * survive a restart beside it. Stored secrets stay as they came, sealed under a key that is wrapped for this instance.
 */
export class SnapshotFiles {
  readonly #folder: string
  readonly #parts: string

  constructor(dataDir: string) {
    this.#folder = join(dataDir, 'snapshots')
    this.#parts = join(this.#folder, 'parts')
    makePrivateFolder(this.#parts)
  }

  /** Tenants with an activated snapshot. */
  tenants(): string[] {
    return readdirSync(this.#folder).flatMap((name) => /^([A-Za-z0-9_-]{1,64})\.active\.json$/.exec(name)?.[1] ?? [])
  }

  envelope(tenant: string): Seal | undefined {
    return dsse.safeParse(readJson(this.#envelopePath(tenant))).data
  }

  state(tenant: string): TenantState | undefined {
    return stateShape.safeParse(readJson(join(this.#folder, `${tenant}.state.json`))).data
  }

  part(digest: string): Promise<Buffer | undefined> {
    return readIfPresentLater(join(this.#parts, digest))
  }

  /** Whole; durable with the next activation, which syncs the folder once for all parts that came for it. */
  writePart(digest: string, bytes: Uint8Array): Promise<void> {
    return writeWholeLater(join(this.#parts, digest), bytes)
  }

  /** The new envelope takes the old one's place by rename: that is the moment of activation. */
  async activate(tenant: string, envelope: Seal): Promise<void> {
    await syncFolderLater(this.#parts)
    await writeDurablyLater(this.#envelopePath(tenant), JSON.stringify(envelope))
  }

  writeState(tenant: string, state: TenantState): Promise<void> {
    return writeDurablyLater(join(this.#folder, `${tenant}.state.json`), JSON.stringify(state))
  }

  /** Removes what is kept of a tenant but its parts, which others may share; the envelope first, which is what makes it run. */
  forget(tenant: string): void {
    rmSync(this.#envelopePath(tenant), { force: true })
    rmSync(join(this.#folder, `${tenant}.state.json`), { force: true })
  }

  /** Removes parts that no active snapshot names. */
  keepOnly(digests: ReadonlySet<string>): void {
    for (const name of readdirSync(this.#parts))
      if (!digests.has(name) && !name.includes('.draft-')) rmSync(join(this.#parts, name), { force: true })
  }

  #envelopePath(tenant: string): string {
    return join(this.#folder, `${tenant}.active.json`)
  }
}
