import type { Dice } from './chance.ts'
import type { Timeline } from './timeline.ts'

/** How a link treats what is sent over it; in shares of all messages. */
export interface Weather {
  meanMs: number
  lost: number
  repeated: number
  /** Taken over by later ones. */
  late: number
}

/** One way of a link. After `cut` what is under way may still arrive: on the other side it waited in a queue. */
export class Wire<Message> {
  #isCut = false
  #lastAtMs = 0

  constructor(
    readonly timeline: Timeline,
    readonly dice: Dice,
    readonly weather: Weather,
    readonly receive: (message: Message) => void,
  ) {}

  send(message: Message): void {
    if (this.#isCut || this.dice.odds(this.weather.lost)) return
    this.#carry(message)
    if (this.dice.odds(this.weather.repeated)) this.#carry(message)
  }

  cut(): void {
    this.#isCut = true
  }

  #carry(message: Message): void {
    const { meanMs, late } = this.weather
    const isLate = this.dice.odds(late)
    const delayMs = this.dice.waitMs(meanMs) * (isLate ? 30 : 1)
    // In order, as a connection keeps it, but for those that are late.
    const atMs = isLate ? this.timeline.nowMs + delayMs : Math.max(this.#lastAtMs, this.timeline.nowMs + delayMs)
    if (!isLate) this.#lastAtMs = atMs
    this.timeline.after(atMs - this.timeline.nowMs, () => this.receive(message))
  }
}
