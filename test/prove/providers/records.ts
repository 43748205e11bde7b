import { formatAmount, parseAmount } from '../../../schema/money.ts'
import type { Sluice } from '../parts/sluice.ts'
import { metersOf, type Play, visitsOf } from './cells.ts'
import { prices } from './house.ts'

export interface FlightRecord {
  alias: string
  sequence: number
  outcome: string
  refusal: string | null
  lossy: string[]
  cost: { amount: string }
  attempts: { status: number | null }[]
  meters: { meter: string; quantity: number; source: string }[]
}

const query = `query ($after: Cursor) { flightRecords(first: 100, after: $after) {
  pageInfo { hasNextPage endCursor }
  nodes { alias sequence outcome refusal lossy cost { amount } attempts { status } meters { meter quantity source } }
} }`

interface Page {
  flightRecords: { pageInfo: { hasNextPage: boolean; endCursor: string | null }; nodes: FlightRecord[] }
}

/** All records by the name that was asked for, oldest first, once none is missing of what the vendors saw, or 20 s have passed. */
export async function recordsOf(sluice: Sluice, plays: Play[]): Promise<Map<string, FlightRecord[]>> {
  const deadlineMs = performance.now() + 20_000
  for (;;) {
    const records = Map.groupBy(await allRecords(sluice), ({ alias }) => alias)
    for (const each of records.values()) each.sort((a, b) => a.sequence - b.sequence)
    const isWhole = plays.every((play) => sent(records.get(play.alias)).length >= visitsOf(play).length)
    if (isWhole || performance.now() > deadlineMs) return records
    await Bun.sleep(200)
  }
}

async function allRecords(sluice: Sluice): Promise<FlightRecord[]> {
  const all: FlightRecord[] = []
  let after: string | null = null
  for (;;) {
    const { flightRecords }: Page = await sluice.ask<Page>(query, { after })
    all.push(...flightRecords.nodes)
    if (!flightRecords.pageInfo.hasNextPage) return all
    after = flightRecords.pageInfo.endCursor
  }
}

const sent = (records: FlightRecord[] = []) => records.filter(({ attempts }) => attempts.length > 0)

/** Holds what was recorded of a play against what its vendor saw and billed, to the last digit. */
export function judgeRecords(play: Play, records: FlightRecord[] = []): void {
  const visits = visitsOf(play)
  const made = sent(records)
  if (made.length !== visits.length)
    play.wrong.push(`${made.length} records of ${visits.length} requests at the vendor`)
  for (const [at, record] of made.entries()) {
    const { score, status } = visits[at] ?? {}
    const isAnswer = status === 200 && !score?.failure && !score?.cut
    if (isAnswer !== (record.outcome === 'COMPLETED'))
      play.wrong.push(`outcome ${record.outcome} of an answer with ${status}`)
    if (!isAnswer || !score) continue
    const expected = metersOf(score.usage)
    const counted = Object.fromEntries(
      record.meters.filter(({ quantity }) => quantity > 0).map(({ meter, quantity }) => [meter, quantity]),
    )
    const sorted = (meters: object) => JSON.stringify(Object.entries(meters).sort())
    if (sorted(counted) !== sorted(expected))
      play.wrong.push(`meters ${sorted(counted)} instead of ${sorted(expected)}`)
    if (record.meters.some(({ source }) => source !== 'REPORTED')) play.wrong.push('meters that were not reported')
    if (record.cost.amount !== costOf(expected))
      play.wrong.push(`cost ${record.cost.amount} instead of ${costOf(expected)}`)
  }
}

function costOf(meters: Record<string, number>): string {
  const costs = Object.entries(meters).map(
    ([meter, quantity]) => (parseAmount(prices[meter]!)! * BigInt(quantity)) / 1_000_000n,
  )
  return formatAmount(costs.reduce((sum, cost) => sum + cost, 0n))
}
