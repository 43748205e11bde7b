import type { Dice } from './chance.ts'
import type { Timeline } from './timeline.ts'

/**
 * A file that only grows, as a crash leaves it. What is written survives the end of its process; only what was synced when the
 * power goes is sure to be there afterwards, and of the rest some beginning may be.
 */
export class Disk<Entry> {
  readonly entries: Entry[] = []
  #synced = 0
  #waiting: { through: number; done: () => void }[] = []
  #syncing = false
  #lies = false
  /** Counts on when the process ends: no sync of the one before tells the next. */
  #life = 0

  constructor(
    readonly timeline: Timeline,
    readonly dice: Dice,
    readonly syncMs: number,
  ) {}

  write(entry: Entry): void {
    this.entries.push(entry)
  }

  /** Calls back when all that is written so far is on the disk. One sync runs at a time, and takes whatever waits then. */
  sync(done: () => void): void {
    if (this.#lies) {
      this.timeline.after(0, done)
      return
    }
    this.#waiting.push({ through: this.entries.length, done })
    if (!this.#syncing) this.#run()
  }

  /** A breach: from now on it says that all is on the disk, and little is. */
  lie(): void {
    this.#lies = true
  }

  /** The process ends; what waits for a sync hears nothing. */
  kill(): void {
    this.#life++
    this.#waiting = []
    this.#syncing = false
  }

  /** The machine loses power: its process ends, and what was not synced may be gone. */
  loseTail(): void {
    this.kill()
    const kept = this.dice.int(this.#synced, this.entries.length)
    this.entries.length = kept
    this.#synced = kept
  }

  /** What a copy of the folder holds. */
  copy(): Disk<Entry> {
    const copied = new Disk<Entry>(this.timeline, this.dice, this.syncMs)
    copied.entries.push(...this.entries)
    copied.#synced = copied.entries.length
    return copied
  }

  #run(): void {
    const through = this.entries.length
    const life = this.#life
    this.#syncing = true
    this.timeline.after(this.dice.waitMs(this.syncMs), () => {
      if (life !== this.#life) return
      this.#synced = Math.max(this.#synced, through)
      const told = this.#waiting.filter((each) => each.through <= through)
      this.#waiting = this.#waiting.filter((each) => each.through > through)
      this.#syncing = false
      if (this.#waiting.length > 0) this.#run()
      for (const { done } of told) if (life === this.#life) done()
    })
  }
}
