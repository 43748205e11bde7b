/** Virtual time: what is to happen, in the order in which it will. */
export class Timeline {
  /** Milliseconds since the schedule began; nobody's clock shows them. */
  nowMs = 0
  #order = 0
  readonly #heap: Due[] = []

  /** Does this after so many milliseconds; what is returned calls it off. */
  after(ms: number, act: () => void): () => void {
    const due: Due = { atMs: this.nowMs + Math.max(0, ms), order: this.#order++, act }
    this.#push(due)
    return () => {
      due.act = undefined
    }
  }

  /** Does what is next; false where nothing is left before `untilMs`, which it is then. */
  step(untilMs: number): boolean {
    for (;;) {
      const next = this.#heap[0]
      if (!next || next.atMs > untilMs) {
        this.nowMs = Math.max(this.nowMs, untilMs)
        return false
      }
      this.#pop()
      if (!next.act) continue
      this.nowMs = next.atMs
      next.act()
      return true
    }
  }

  #push(due: Due): void {
    const heap = this.#heap
    let at = heap.push(due) - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!before(due, heap[parent]!)) break
      heap[at] = heap[parent]!
      at = parent
    }
    heap[at] = due
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop()!
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let child = at * 2 + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++
      if (!before(heap[child]!, last)) break
      heap[at] = heap[child]!
      at = child
    }
    heap[at] = last
  }
}

interface Due {
  atMs: number
  order: number
  act: (() => void) | undefined
}

const before = (one: Due, other: Due) => one.atMs < other.atMs || (one.atMs === other.atMs && one.order < other.order)
