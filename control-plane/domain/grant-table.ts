import type { Grant } from '../../schema/snapshot.ts'

/**
 * The grants of a snapshot with how many key rows hold each. Keys that may do the same share one, so a hundred thousand keys of a
 * few projects stay a small configuration. A grant keeps its position while anybody holds it, and one that nobody holds makes room
 * for the next: the list is never longer than the most that were held at once.
 */
export class GrantTable {
  readonly #grants: Grant[]
  readonly #uses: number[]
  readonly #at: Map<string, number>
  readonly #free: number[]

  constructor(grants: readonly Grant[] = [], uses: readonly number[] = []) {
    this.#grants = [...grants]
    this.#uses = grants.map((_, index) => uses[index] ?? 0)
    this.#at = new Map(grants.map((grant, index) => [JSON.stringify(grant), index]))
    this.#free = this.#uses.flatMap((count, index) => (count === 0 ? [index] : [])).reverse()
  }

  /** The position of a grant that one more row holds. */
  hold(grant: Grant): number {
    const text = JSON.stringify(grant)
    const index = this.#at.get(text) ?? this.#place(grant, text)
    this.#uses[index]! += 1
    return index
  }

  /** One row fewer holds it. False where none did: then the counts are not of these rows. */
  release(index: number): boolean {
    const count = this.#uses[index] ?? 0
    if (count === 0) return false
    this.#uses[index] = count - 1
    if (count === 1) this.#free.push(index)
    return true
  }

  /** As they are now, without what stands unused at the end. */
  list(): { grants: Grant[]; grantUses: number[] } {
    const length = this.#uses.findLastIndex((count) => count > 0) + 1
    return { grants: this.#grants.slice(0, length), grantUses: this.#uses.slice(0, length) }
  }

  #place(grant: Grant, text: string): number {
    const index = this.#nextFree() ?? this.#grants.push(grant) - 1
    if (this.#uses[index] === undefined) this.#uses[index] = 0
    else this.#at.delete(JSON.stringify(this.#grants[index]))
    this.#grants[index] = grant
    this.#at.set(text, index)
    return index
  }

  /** What was free may have been held again since. */
  #nextFree(): number | undefined {
    let index = this.#free.pop()
    while (index !== undefined && this.#uses[index]! > 0) index = this.#free.pop()
    return index
  }
}
