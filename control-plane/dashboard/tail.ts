export interface FlightRecord {
  id: string
  at: string
  alias: string
  streamed: boolean
  outcome: 'COMPLETED' | 'REFUSED' | 'FAILED' | 'CANCELLED'
  refusal: string | null
  model: { name: string } | null
  project: { name: string } | null
  meters: { meter: string; quantity: number }[]
  cost: { amount: string; currency: string }
  timing: { totalMs: number }
}

const shown = 30

/** The latest requests, newest first, each once. */
export class Tail {
  records: FlightRecord[] = []
  skipped = 0

  constructor(public cursor: string) {}

  add(records: FlightRecord[]): void {
    const byId = new Map(this.records.map((record) => [record.id, record]))
    for (const record of records) byId.set(record.id, record)
    this.records = [...byId.values()].sort((a, b) => (a.at < b.at ? 1 : a.at > b.at ? -1 : 0)).slice(0, shown)
  }

  take(tick: { cursor: string; skipped: number; records: FlightRecord[] }): void {
    this.cursor = tick.cursor
    this.skipped += tick.skipped
    this.add(tick.records)
  }
}

/** All tokens of a record, in and out. */
export function tokensOf(record: FlightRecord): number {
  return record.meters.reduce((sum, { meter, quantity }) => sum + (meter.endsWith('_TOKENS') ? quantity : 0), 0)
}
