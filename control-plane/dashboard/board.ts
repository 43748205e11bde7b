import { parseAmount } from '../../schema/money.ts'

/** What is added up, exactly: cost at 10⁻¹² of the currency. */
export interface Tally {
  cost: bigint
  requests: number
  refused: number
  failed: number
  tokens: number
}

interface Point {
  at?: string
  cost: { amount: string }
  requests: number
  refused: number
  failed: number
  tokens: number
}

export type Dimension = 'PROJECT' | 'API_KEY' | 'MODEL'

interface Key {
  dimension: string
  value: string
  resource: { name: string } | null
}

export interface Group {
  key: Key[]
  points: Point[]
}

export interface Overview {
  viewer: { actor: { name: string; onBehalfOf: { name: string } | null }; tenant: { name: string; currency: string } }
  today: { currency: string; settledThrough: string; cursor: string; pending: { name: string }[]; groups: Group[] }
  hour: { cursor: string; groups: { points: Point[] }[] }
}

export interface Tick {
  cursor: string
  at: string
  groups: Group[]
}

export const minuteMs = 60_000
export const minutesShown = 60

const nothing = (): Tally => ({ cost: 0n, requests: 0, refused: 0, failed: 0, tokens: 0 })

function add(tally: Tally, point: Point | Tally): void {
  tally.cost += typeof point.cost === 'bigint' ? point.cost : (parseAmount(point.cost.amount) ?? 0n)
  tally.requests += point.requests
  tally.refused += point.refused
  tally.failed += point.failed
  tally.tokens += point.tokens
}

export interface Row extends Tally {
  value: string
  name: string
}

/**
 * The page's figures: a snapshot from `spend` and the ticks after its cursor. Every group is a full (project, key, model)
 * tuple, so each table is a sum over the same tuples and all tables have one total.
 */
export class Board {
  readonly total = nothing()
  readonly minutes = new Map<number, Tally>()
  readonly #tuples = new Map<string, { keys: Map<string, string>; tally: Tally }>()
  readonly #names = new Map<string, string>()
  cursor: string
  settledThrough: string

  constructor(
    overview: Overview,
    readonly dayFromMs: number,
  ) {
    this.cursor = overview.today.cursor
    this.settledThrough = overview.today.settledThrough
    for (const group of overview.today.groups) for (const point of group.points) this.#count(group.key, point)
    for (const group of overview.hour.groups) for (const point of group.points) this.#chart(point)
  }

  /** Adds one tick. What happened before today began moves the chart, not today's sum. */
  apply(tick: Tick): void {
    for (const group of tick.groups)
      for (const point of group.points) {
        if (Date.parse(point.at!) >= this.dayFromMs) this.#count(group.key, point)
        this.#chart(point)
      }
    this.cursor = tick.cursor
  }

  /** One table: the tuples summed by one of their keys, dearest first. */
  rows(dimension: Dimension): Row[] {
    const rows = new Map<string, Row>()
    for (const { keys, tally } of this.#tuples.values()) {
      const value = keys.get(dimension) ?? ''
      const row = rows.get(value) ?? { value, name: this.#nameOf(dimension, value), ...nothing() }
      add(row, tally)
      rows.set(value, row)
    }
    return [...rows.values()].sort(
      (a, b) => Number(b.cost > a.cost) - Number(b.cost < a.cost) || b.requests - a.requests,
    )
  }

  /** Cost of each of the last 60 minutes, oldest first. */
  series(nowMs: number): { at: number; tally: Tally }[] {
    const last = Math.floor(nowMs / minuteMs) * minuteMs
    return Array.from({ length: minutesShown }, (_, index) => {
      const at = last - (minutesShown - 1 - index) * minuteMs
      return { at, tally: this.minutes.get(at) ?? nothing() }
    })
  }

  #count(key: Key[], point: Point): void {
    const id = key.map(({ value }) => value).join(' ')
    let tuple = this.#tuples.get(id)
    if (!tuple) {
      tuple = { keys: new Map(key.map(({ dimension, value }) => [dimension, value])), tally: nothing() }
      this.#tuples.set(id, tuple)
    }
    for (const { value, resource } of key) if (resource) this.#names.set(value, resource.name)
    add(tuple.tally, point)
    add(this.total, point)
  }

  #chart(point: Point): void {
    const at = Math.floor(Date.parse(point.at!) / minuteMs) * minuteMs
    const minute = this.minutes.get(at) ?? nothing()
    add(minute, point)
    this.minutes.set(at, minute)
    if (this.minutes.size > 4 * minutesShown) this.#forgetOldMinutes()
  }

  #forgetOldMinutes(): void {
    const kept = [...this.minutes.keys()].sort((a, b) => b - a).slice(0, 2 * minutesShown)
    const oldest = kept.at(-1)!
    for (const at of this.minutes.keys()) if (at < oldest) this.minutes.delete(at)
  }

  #nameOf(dimension: Dimension, value: string): string {
    if (value === '') return dimension === 'MODEL' ? 'refused before a model was chosen' : 'none'
    if (value === 'other') return 'all others'
    return this.#names.get(value) ?? value
  }
}
