import postgres from 'postgres'
import { chainStart, type FlightRecord, recordHash } from '../../../schema/flight-record.ts'
import { parseAmount } from '../../../schema/money.ts'
import type { Checks } from './proof.ts'

/** A record as the database holds it. */
export interface Row {
  instance: string
  epoch: number
  sequence: number
  number: number | null
  id: string
  hash: string
  /** At 10⁻¹². */
  cost: bigint
  record: FlightRecord
  body: string
}

export interface Books {
  rows: Row[]
  heads: { instance: string; epoch: number; sequence: number; hash: string; quarantined: boolean }[]
  /** Numbers of audit entries: they share the log with the records. */
  audits: (number | null)[]
}

/** Reads the books from the database itself, once everything in them has its number or 15 seconds have passed. */
export async function readBooks(url: string): Promise<Books> {
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  try {
    const deadlineMs = performance.now() + 15_000
    const unnumbered = () => sql`select 1 from flight_record where number is null limit 1`
    while ((await unnumbered()).length > 0 && performance.now() < deadlineMs) await Bun.sleep(50)
    const rows: Row[] = []
    const records = sql`select instance, epoch, sequence, number, id, hash, cost::text, body from flight_record
      order by instance, epoch, sequence`
    for await (const some of records.cursor(1_000)) rows.push(...some.map(rowOf))
    const heads = await sql`select instance, epoch, sequence, hash, quarantined_at from chain_head`
    const audits = await sql`select number from audit_entry`
    return { rows, heads: heads.map(headOf), audits: audits.map(({ number }) => numberOf(number)) }
  } finally {
    await sql.end()
  }
}

const numberOf = (text: string | null) => (text === null ? null : Number(text))

function rowOf(row: postgres.Row): Row {
  const { instance, id, hash, body } = row
  const [epoch, sequence] = [Number(row.epoch), Number(row.sequence)]
  const record = JSON.parse(body) as FlightRecord
  return {
    instance,
    epoch,
    sequence,
    number: numberOf(row.number),
    id,
    hash,
    cost: parseAmount(row.cost)!,
    record,
    body,
  }
}

function headOf({ instance, epoch, sequence, hash, quarantined_at }: postgres.Row): Books['heads'][number] {
  return { instance, epoch: Number(epoch), sequence: Number(sequence), hash, quarantined: quarantined_at !== null }
}

/** Every chain from its first record to its head, by the hashes of the bodies themselves; how many chains there are. */
export function checkChains({ rows, heads }: Books, checks: Checks): number {
  const chains = Map.groupBy(rows, ({ instance, epoch }) => `${instance} epoch ${epoch}`)
  for (const [name, chain] of chains) {
    let previous = chainStart
    for (const [at, { sequence, hash, record, body }] of chain.entries()) {
      const linked = sequence === at && record.sequence === at && record.previousHash === previous
      previous = recordHash(body)
      if (linked && hash === previous) continue
      checks.that(false, `the chain of ${name} is broken at its record ${at}`)
      break
    }
    const head = heads.find(({ instance, epoch }) => `${instance} epoch ${epoch}` === name)
    checks.equal(`head of ${name}`, head && [head.sequence, head.hash], [chain.length - 1, previous])
  }
  for (const { instance, epoch, quarantined } of heads)
    checks.that(!quarantined, `the chain of ${instance} epoch ${epoch} is quarantined`)
  return chains.size
}

/** Audit entries and records share one gapless number, from 0. */
export function checkNumbers({ rows, audits }: Books, checks: Checks): void {
  const numbers = [...rows.map(({ number }) => number), ...audits].sort((a, b) => Number(a) - Number(b))
  const wrong = numbers.findIndex((number, at) => number !== at)
  checks.that(wrong === -1, `the log has a gap, a double or an unnumbered entry at ${wrong}`)
}

/** True where nobody knows what a call cost: it is charged as what was reserved for it. */
export const isPresumed = ({ record }: Row) => record.meters.some(({ source }) => source === 'CEILING')
