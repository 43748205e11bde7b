import type { FlightRecord, RecordIncident } from '../schema/flight-record.ts'
import { formatAmount } from '../schema/money.ts'
import type { Attempt } from './attempt.ts'
import type { Exchange } from './exchange.ts'
import { boundLabels } from './labels/read.ts'
import { priceCeiling } from './pricing.ts'

/** What the recorder adds itself: where the record was made, and its place in the chain. */
type RecorderFields =
  | 'bootId'
  | 'dataPlane'
  | 'epoch'
  | 'instance'
  | 'previousHash'
  | 'schemaVersion'
  | 'sequence'
  | 'version'
export type RecordDraft = Omit<FlightRecord, RecorderFields>

/**
 * The record of an exchange as things stand. Keys in code-unit order, nested ones too: see `FlightRecord`. An attempt that is
 * not settled is charged at its ceiling, which is what an intent says before the call goes out.
 */
export function draftRecord(exchange: Exchange, nowMs: number, monotonicMs: number): RecordDraft | undefined {
  const { found, attempts, served } = exchange
  if (!found) return undefined
  const { snapshot } = found
  const paid = attempts.map((attempt) => attempt.settled ?? presumed(attempt))
  const model = served?.target.model
  return {
    alias: exchange.asked,
    aliasId: exchange.plan?.alias.id ?? null,
    apiKey: found.apiKey,
    at: exchange.startedAtMs,
    attempts: attempts.map(({ entry }) => entry),
    authMethod: 'api_key',
    bundleSequence: null,
    clientDisconnected: exchange.clientLeft,
    configDigest: snapshot.configDigest,
    cost: formatAmount(paid.reduce((sum, { cost }) => sum + cost, 0n)),
    currency: snapshot.tenant.currency,
    decisions: decisionsOf(exchange),
    dialect: exchange.arrival.dialect.name,
    finishReason: textOrNull(served?.decoder.facts.finishReason),
    humanOverride: null,
    id: exchange.id,
    incident: incidentOf(attempts),
    level: 'STANDARD',
    lossy: lossyOf(served),
    meters: paid.flatMap(({ meters }) => meters),
    model: model?.id ?? null,
    monotonicMs: Math.round(monotonicMs),
    outcome: exchange.outcome,
    parent: null,
    payload: { mode: 'NONE', request: null, requestKey: null, response: null, responseKey: null },
    postings: paid.flatMap(({ postings }) => postings),
    priceSheet: served && 'sheet' in served.prices ? served.prices.sheet : null,
    principal: found.grant.principal,
    project: found.grant.project,
    provider: model?.provider.id ?? null,
    refusal: exchange.denial?.refusal.refused ?? null,
    region: model?.region ?? model?.provider.region ?? null,
    requestLabels: exchange.labels?.recorded ?? boundLabels(found),
    reserved: formatAmount(attempts.reduce((sum, { reservation }) => sum + reservation.ceiling, 0n)),
    revision: snapshot.revision,
    routeReason: exchange.routeReason,
    snapshotAgeMs: Math.round(found.tenant.ageMs(nowMs)),
    status: exchange.status,
    streamed: exchange.admitted?.streamed ?? false,
    task: null,
    team: found.grant.team,
    tenant: snapshot.tenant.id,
    tier: model?.tier ?? null,
    timing: exchange.timing(monotonicMs),
    traceId: exchange.traceId,
  }
}

function decisionsOf({ judgement, admission, denial }: Exchange): RecordDraft['decisions'] {
  const judged = judgement?.decisions ?? []
  return admission ? [...judged, ...admission.decisions(limitCodes.has(denial?.refusal.refused))] : judged
}

const limitCodes: ReadonlySet<string | undefined> = new Set(['rate_limited', 'concurrency_exceeded'])

/** A text that callers or providers choose, as a record may hold it: bounded, without NUL or halves of characters. */
export function recordText(text: string, charactersMax: number): string {
  return text.slice(0, charactersMax).replaceAll('\0', '\ufffd').toWellFormed()
}

function lossyOf(served: Attempt | undefined): string[] {
  if (!served) return []
  const lost = [...served.lossy, ...(served.decoder.lost ?? [])]
  return lost.length === 0 ? lost : [...new Set(lost)].slice(0, lossyMax).map((name) => recordText(name, 200))
}

/** The first attempt that its provider billed more for than its model's limits allow. Without a hard budget nothing was bounded. */
function incidentOf(attempts: readonly Attempt[]): RecordIncident | null {
  const broken = attempts.find(({ isGuarded, settled, cost }) => isGuarded && settled && settled.cost > cost)
  if (!broken) return null
  return {
    code: 'COST_ABOVE_CEILING',
    cost: formatAmount(broken.settled!.cost),
    model: broken.target.model.id,
    reserved: formatAmount(broken.cost),
  }
}

const lossyMax = 50

const textOrNull = (text: string | null | undefined) => (text == null ? null : recordText(text, 100))

function presumed(attempt: Attempt) {
  const { meters, cost } = priceCeiling(attempt.prices, attempt.ceiling)
  return { meters, cost, postings: attempt.reservation.atCeiling() }
}
