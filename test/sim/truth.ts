import type { RecordPosting } from '../../schema/flight-record.ts'
import { parseAmount } from '../../schema/money.ts'

/** A counter's window as a posting names it. */
export interface Place {
  budget: string
  subject: string | null
  window: { from: number; to: number }
}

/** What is true of one counter's window, whoever knows it. Amounts at 10⁻¹². */
export interface Sums extends Place {
  /** What the provider wants, delivered or not. */
  billed: bigint
  /** What planes wrote that it cost. */
  posted: bigint
  /** Ceilings of attempts under way, also at planes that are dead. */
  reserved: bigint
}

interface Exchange {
  disk: object
  reserved: readonly RecordPosting[]
  posted: readonly RecordPosting[]
  /** Of each attempt. */
  billed: { place: RecordPosting; cost: bigint }[][]
}

const placeKey = ({ budget, subject, window }: Place) => `${budget} ${subject ?? ''} ${window.from} ${window.to}`
export const whose = ({ budget, subject }: Pick<Place, 'budget' | 'subject'>) => `${budget} ${subject ?? ''}`

/** One who sees every plane, every provider and every wire at once. */
export class Truth {
  readonly sums = new Map<string, Sums>()
  /** What the promise leaves out, each as it happens, by budget and subject. */
  readonly #exceptions = new Map<string, bigint>()
  readonly #exchanges = new Map<string, Exchange>()
  /** Told of each counter whose money moved, and of each that the provider wants more under. */
  onChange: (place: Place) => void = () => undefined
  onBill: (place: Place) => void = () => undefined

  /** An attempt's ceiling is kept, and the provider begins to work: whatever comes of it, it wants its cost. */
  begins(disk: object, id: string, reserved: readonly RecordPosting[], ceiling: bigint, cost: bigint): void {
    const exchange = this.#exchanges.get(id) ?? { disk, reserved: [], posted: [], billed: [] }
    this.#exchanges.set(id, exchange)
    exchange.billed.push(reserved.map((place) => ({ place, cost })))
    for (const place of reserved) {
      this.#at(place).billed += cost
      if (cost > ceiling) this.except(place, cost - ceiling)
    }
    this.settles(id, reserved, exchange.posted)
    for (const place of reserved) this.onBill(place)
  }

  /** From now on it keeps so much, and has cost so much. */
  settles(id: string, reserved: readonly RecordPosting[], posted: readonly RecordPosting[]): void {
    const exchange = this.#exchanges.get(id)
    if (!exchange) return
    for (const posting of exchange.reserved) this.#at(posting).reserved -= parseAmount(posting.amount)!
    for (const posting of exchange.posted) this.#at(posting).posted -= parseAmount(posting.amount)!
    for (const posting of reserved) this.#at(posting).reserved += parseAmount(posting.amount)!
    for (const posting of posted) this.#at(posting).posted += parseAmount(posting.amount)!
    const touched = [...exchange.reserved, ...reserved, ...posted]
    Object.assign(exchange, { reserved, posted })
    for (const posting of touched) this.onChange(posting)
  }

  /** A power cut took what was known of some attempts: what they cost is nobody's. Answers how many there were. */
  loses(disk: object, attemptsKnown: ReadonlyMap<string, number>): number {
    let lost = 0
    for (const [id, exchange] of this.#exchanges) {
      if (exchange.disk !== disk) continue
      const known = attemptsKnown.get(id) ?? 0
      for (const bills of exchange.billed.splice(known)) {
        for (const { place, cost } of bills) this.except(place, cost)
        lost++
      }
      if (known === 0) this.settles(id, [], [])
    }
    return lost
  }

  except(place: Pick<Place, 'budget' | 'subject'>, amount: bigint): void {
    this.#exceptions.set(whose(place), this.exceptionsOf(place) + amount)
  }

  exceptionsOf(place: Pick<Place, 'budget' | 'subject'>): bigint {
    return this.#exceptions.get(whose(place)) ?? 0n
  }

  /** Of all windows of a counter that lie within these ends. */
  within(budget: string, subject: string | null, from: number, to: number): Omit<Sums, keyof Place> {
    const total = { billed: 0n, posted: 0n, reserved: 0n }
    for (const sums of this.sums.values()) {
      if (sums.budget !== budget || sums.subject !== subject) continue
      if (sums.window.from < from || sums.window.to > to) continue
      total.billed += sums.billed
      total.posted += sums.posted
      total.reserved += sums.reserved
    }
    return total
  }

  #at({ budget, subject, window }: Place): Sums {
    const key = placeKey({ budget, subject, window })
    const found = this.sums.get(key)
    if (found) return found
    const made = { budget, subject, window, billed: 0n, posted: 0n, reserved: 0n }
    this.sums.set(key, made)
    return made
  }
}
