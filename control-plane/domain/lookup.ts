import { and, eq, inArray, isNull } from 'drizzle-orm'
import type { Resource } from '../../schema/config/index.ts'
import { handleOf, type Kind, parseRef } from '../../schema/handles.ts'
import type { Tx } from '../db/database.ts'
import { resource } from '../db/tables.ts'
import { chunks, resourceOf } from './resources.ts'

/**
 * The tenant's live resources as far as one write needs them, with what the write itself makes laid over them: references may
 * name things of the same input, under their new names.
 */
export class Lookup {
  readonly #tx: Tx
  readonly #tenant: string
  readonly #byId = new Map<string, Resource>()
  readonly #byHandle = new Map<string, Resource>()
  readonly #overlaid = new Map<string, Resource>()
  readonly #newHandles = new Map<string, Resource>()

  constructor(tx: Tx, tenant: string) {
    this.#tx = tx
    this.#tenant = tenant
  }

  /** Reads what these refs name, in a few statements whatever their number. */
  async load(refs: Iterable<string>): Promise<void> {
    const ids = new Set<string>()
    const names = new Map<Kind, Set<string>>()
    for (const ref of refs) {
      const parsed = parseRef(ref)
      if (parsed?.by === 'id' && !this.#byId.has(ref)) ids.add(ref)
      if (parsed?.by !== 'handle' || this.#byHandle.has(ref)) continue
      const named = names.get(parsed.kind)
      if (named) named.add(parsed.name)
      else names.set(parsed.kind, new Set([parsed.name]))
    }
    for (const some of chunks([...ids])) await this.#read(inArray(resource.id, some))
    for (const [kind, named] of names)
      for (const some of chunks([...named]))
        await this.#read(and(eq(resource.kind, kind), inArray(resource.name, some)))
  }

  /** The resource as it will be. Its old name no longer finds it. */
  overlay(after: Resource): void {
    this.#overlaid.set(after.id, after)
    this.#newHandles.set(handleOf(after.kind, after.name), after)
  }

  /** As it is, before this write. */
  stored(ref: string): Resource | undefined {
    return this.#byId.get(ref) ?? this.#byHandle.get(ref)
  }

  /** As it will be; undefined where there is no such live resource. */
  find(ref: string): Resource | undefined {
    const overlaid = this.#overlaid.get(ref) ?? this.#newHandles.get(ref)
    const found = overlaid ?? this.#unlessRenamed(this.stored(ref), ref)
    return found && !found.archivedAt ? found : undefined
  }

  #unlessRenamed(found: Resource | undefined, ref: string): Resource | undefined {
    if (!found || ref === found.id) return found && (this.#overlaid.get(found.id) ?? found)
    return this.#overlaid.has(found.id) ? undefined : found
  }

  async #read(condition: Parameters<typeof and>[0]) {
    const rows = await this.#tx
      .select()
      .from(resource)
      .where(and(eq(resource.tenant, this.#tenant), isNull(resource.archivedAt), condition))
    for (const row of rows) {
      const found = resourceOf(row)
      this.#byId.set(found.id, found)
      this.#byHandle.set(handleOf(found.kind, found.name), found)
    }
  }
}
