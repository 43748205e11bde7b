import { meters, z } from '../../schema/config/index.ts'
import type { FlightRecord } from '../../schema/flight-record.ts'
import { idKind } from '../../schema/ids.ts'
import { formatAmount, parseAmount } from '../../schema/money.ts'

/** What a column can hold: PostgreSQL knows neither NUL nor half a character. */
const text = (charactersMax: number) =>
  z
    .string()
    .max(charactersMax)
    .refine((value) => value.isWellFormed() && !value.includes('\0'), 'must be text without NUL or half characters')
const id = text(64)
const count = z.int().min(0)
const hex = z.string().regex(/^[0-9a-f]{64}$/)
const atMs = z.int().min(0).max(8_640_000_000_000_000)
/** Far more than the dearest request at the dearest price that may be declared: sums of many such have room in a column. */
const amountMax = 10n ** 34n
const amount = z
  .string()
  .max(40)
  .refine((value) => isAmount(parseAmount(value)), 'must be an exact amount of at least 0 and at most 10²²')

const isAmount = (amount: bigint | undefined) => amount !== undefined && amount >= 0n && amount <= amountMax

const decision = z.looseObject({
  policy: id,
  mode: z.enum(['ENFORCE', 'OBSERVE']),
  verdict: z.enum(['PASSED', 'FLAGGED', 'REDACTED', 'BLOCKED', 'ERRORED']),
  detail: text(1_000).nullable(),
  findings: z.array(z.looseObject({ entity: text(100), start: count, end: count })).max(1_000),
  scannedBytes: count,
  releasedBytes: count,
})

const posting = z.looseObject({
  amount,
  budget: id,
  leaseEpoch: count,
  subject: text(300).nullable(),
  window: z.looseObject({ from: z.int(), to: z.int() }),
})

/**
 * What the control plane relies on in a record: what it indexes, adds up and shows. The other fields are kept as they came,
 * since they are hashed; a record of a later version may have more of them.
 */
const shape = z.looseObject({
  schemaVersion: z.literal(1),
  id: z.string().refine((value) => idKind(value) === 'request', 'must be the id of a request'),
  tenant: id,
  instance: id,
  epoch: count,
  sequence: count,
  previousHash: hex,
  at: atMs,
  ...{ team: id.nullable(), project: id.nullable(), principal: id.nullable(), apiKey: id.nullable() },
  ...{ provider: id.nullable(), model: id.nullable(), aliasId: id.nullable(), tier: id.nullable() },
  alias: text(200),
  dataPlane: id,
  traceId: text(64).nullable(),
  currency: z.string().regex(/^[A-Z]{3}$/),
  cost: amount,
  outcome: z.enum(['COMPLETED', 'REFUSED', 'FAILED', 'CANCELLED']),
  refusal: text(64).nullable(),
  requestLabels: z
    .record(text(64), text(256))
    .refine((labels) => Object.keys(labels).length <= 64, 'must hold at most 64 labels'),
  decisions: z.array(decision).max(1_000),
  attempts: z.array(z.looseObject({})).max(1_000),
  postings: z.array(posting).max(1_000),
  reserved: amount,
  meters: z.array(z.looseObject({ meter: z.enum(meters), quantity: count, cost: amount })).max(100),
  timing: z.looseObject({ totalMs: z.number().min(0) }),
})

/** Reads a record's canonical text, or says what is wrong with it. */
export function readRecord(canonical: string): FlightRecord | { malformed: string } {
  let given: unknown
  try {
    given = JSON.parse(canonical)
  } catch {
    return { malformed: 'it is not JSON' }
  }
  const parsed = shape.safeParse(given)
  if (parsed.success) return sound(given as FlightRecord)
  const issue = parsed.error.issues[0]!
  return { malformed: `${issue.path.join('.') || 'the record'} ${issue.message}` }
}

/**
 * What a record posts under a counter is what it cost: exactly, where one attempt was charged; never more, where several were,
 * since not every one of them need be under that counter.
 */
function sound(record: FlightRecord): FlightRecord | { malformed: string } {
  const cost = parseAmount(record.cost)!
  const sums = new Map<string, bigint>()
  for (const { budget, subject, amount } of record.postings) {
    const counter = JSON.stringify([budget, subject])
    sums.set(counter, (sums.get(counter) ?? 0n) + parseAmount(amount)!)
  }
  const isWrong = (sum: bigint) => (record.attempts.length === 1 ? sum !== cost : sum > cost)
  const wrong = [...sums].find(([, sum]) => isWrong(sum))
  if (!wrong) return record
  const [budget] = JSON.parse(wrong[0]) as [string]
  return { malformed: `it cost ${record.cost} and posts ${formatAmount(wrong[1])} to ${budget}` }
}
