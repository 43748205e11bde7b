import type { Codec as CodecName } from '../schema/config/index.ts'
import type { RecordDecision } from '../schema/flight-record.ts'
import { formatAmount } from '../schema/money.ts'
import { type RefusalCode, refusalMessage } from '../schema/refusals.ts'
import type { Grant } from '../schema/snapshot.ts'
import type { Arrival } from './arrival.ts'
import { Breakers } from './breakers.ts'
import type { Operation, PassingDialect } from './codecs/codec.ts'
import { dialects } from './codecs/index.ts'
import { Exchange, type Stage } from './exchange.ts'
import { labelsHeader } from './labels/header.ts'
import { LabelValues } from './labels/values.ts'
import { unlimited } from './limits/unlimited.ts'
import type { Exclusion } from './policies/judgement.ts'
import type { Ports } from './ports.ts'
import { Latencies } from './routing/latencies.ts'
import { buildRunning, runningGrant, type Unreadable, type VerifiedParts } from './snapshot/build.ts'
import type { FoundKey, RunningSet, RunningSnapshot } from './snapshot/running.ts'

/** A request that is not sent, by whom, under which configuration. */
export interface ExplainQuestion {
  /** The compiled revision; its keys are not needed. */
  parts: Omit<VerifiedParts, 'shards'>
  caller: ExplainedCaller
  /** As the header would have them. */
  labels: Readonly<Record<string, string>>
  request: ExplainedRequest
  nowMs: number
  /** Numbers in [0, 1), for routes that draw lots; without it the first that has a weight is drawn. */
  random?: () => number
}

/** `apiKey` null = any key of the grant's project that is bound to nothing. */
export interface ExplainedCaller {
  apiKey: string | null
  grant: Grant
  revoked: boolean
  expiresAtMs: number | null
}

/** A prompt, as a plain chat; or a whole body in its dialect, with the alias where that names the model in the path. */
export type ExplainedRequest = ExplainedPrompt | { dialect: CodecName; body: string; alias: string | null }

interface ExplainedPrompt {
  alias: string
  prompt: string
  maxOutputTokens: number | null
}

export interface Explanation {
  revision: number
  /** One for each stage that was reached, in their order. */
  steps: ExplanationStep[]
  refusal: RefusalCode | null
  /** Where it would be sent first, with ids. The step ROUTE says why; the condition is the route's to tell. */
  target: { model: string; credential: string | null; weight: number; when: null } | null
  /** What is reserved for that: the most it can cost, exact. */
  reserve: { amount: string; currency: string } | null
}

export interface ExplanationStep {
  stage: Stage
  verdict: 'PASSED' | 'FLAGGED' | 'BLOCKED'
  /** Ids of the resources that are the reason. */
  because: string[]
  detail: string | null
}

/**
 * What would happen to a request: a real Exchange is opened on the compiled snapshot and makes its first attempt, with ports that
 * keep nothing, and is left there. What only a running gateway knows is taken as good: targets are healthy, budgets have money, limits have room, the
 * caller's address is one that its key is bound to.
 */
export async function explain(question: ExplainQuestion): Promise<Explanation | Unreadable> {
  const snapshot = buildRunning({ ...question.parts, shards: new Map() })
  if ('unreadable' in snapshot) return snapshot
  const arrival = arrivalOf(question)
  if ('unreadable' in arrival) return arrival
  const ports = portsOf(snapshot, question)
  const random = question.random ?? (() => 0)
  const exchange = new Exchange(arrival, ports, new Breakers(), new Latencies(), new LabelValues(), random)
  if ((await exchange.open()) !== 'refuse') await exchange.attempt()
  return explanationOf(exchange, snapshot)
}

function arrivalOf({ caller, labels, request }: ExplainQuestion): Arrival | Unreadable {
  const name = 'body' in request ? request.dialect : 'OPENAI_CHAT'
  const dialect = dialects.find((one) => one.name === name)
  if (!dialect) return { unreadable: `No gateway of this version takes requests in ${name}.` }
  const header = Object.entries(labels).map(([key, value]) => `${key}=${encodeURIComponent(value.toWellFormed())}`)
  return {
    dialect,
    call: callOf(dialect, request),
    key: 'slk_explain',
    headers: new Headers(header.length > 0 ? { [labelsHeader]: header.join(',') } : {}),
    clientAddress: () => caller.grant.allowedAddresses[0]?.split('/')[0] ?? null,
    readBody: () => Promise.resolve('body' in request ? request.body : promptBody(request)),
  }
}

function callOf({ name }: PassingDialect, { alias }: ExplainedRequest): Arrival['call'] {
  return { operation: operations[name] ?? 'generate', query: '', ...(alias !== null && { model: alias }) }
}

const operations: Partial<Record<CodecName, Operation>> = { OPENAI_EMBEDDINGS: 'embed', OPENAI_COMPLETIONS: 'complete' }

function promptBody({ alias, prompt, maxOutputTokens }: ExplainedPrompt): string {
  const limit = maxOutputTokens === null ? {} : { max_completion_tokens: maxOutputTokens }
  return JSON.stringify({ model: alias, messages: [{ role: 'user', content: prompt }], ...limit })
}

/** One key, whatever is looked up; a clock that stands; a ledger without limits; nothing is written. */
function portsOf(snapshot: RunningSnapshot, { caller, nowMs }: ExplainQuestion): Ports {
  const tenant = { snapshot, deltaNumber: snapshot.deltaNumber, ageMs: () => 0, isExpired: () => false }
  const { revoked, expiresAtMs } = caller
  const found: FoundKey = {
    ...{ snapshot, tenant, revoked, expiresAtMs },
    apiKey: caller.apiKey ?? '',
    grant: runningGrant(caller.grant),
  }
  const set: RunningSet = { tenants: new Map([[snapshot.tenant.id, tenant]]), lookupKey: () => found }
  return {
    clock: { now: () => nowMs, monotonic: () => 0 },
    snapshots: { current: () => set },
    ledger: {
      reserve: ({ ceiling }) => ({ ceiling, atCeiling: () => [] }),
      fund: async ({ ceiling }) => ({ ceiling, atCeiling: () => [] }),
      post: () => [],
      void: () => {},
    },
    limiter: unlimited,
    recorder: { intend: () => undefined, record: () => Promise.resolve(undefined) },
  }
}

const stages: readonly Stage[] = ['AUTHENTICATE', 'PLAN', 'GUARD', 'ROUTE', 'ENCODE']

function explanationOf(exchange: Exchange, { revision, tenant }: RunningSnapshot): Explanation {
  const { denial, served } = exchange
  const reached = stages.slice(0, stages.indexOf(exchange.stage) + 1)
  const target = denial ? undefined : served?.target
  return {
    revision,
    steps: reached.map((stage) => stepOf(exchange, stage)),
    refusal: denial?.refusal.refused ?? null,
    target: target
      ? { model: target.model.id, credential: target.credential?.id ?? null, weight: target.weight, when: null }
      : null,
    reserve: target ? { amount: formatAmount(served!.reservation.ceiling), currency: tenant.currency } : null,
  }
}

function stepOf(exchange: Exchange, stage: Stage): ExplanationStep {
  const { because, detail, decisions } = tellers[stage](exchange)
  const told = { stage, because: [...new Set(because.filter((id) => id !== null && id !== ''))] as string[] }
  if (exchange.denial && stage === exchange.stage)
    return { ...told, verdict: 'BLOCKED', detail: refusalMessage(exchange.denial.refusal) }
  const isFlagged = decisions?.some(({ verdict }) => verdict !== 'PASSED') ?? false
  return { ...told, verdict: isFlagged ? 'FLAGGED' : 'PASSED', detail }
}

interface Told {
  because: (string | null)[]
  detail: string | null
  decisions?: readonly RecordDecision[]
}

const tellers: Record<Stage, (exchange: Exchange) => Told> = {
  AUTHENTICATE: ({ found }) => ({
    because: [found!.apiKey, found!.grant.project],
    detail: found!.grant.allowedAddresses.length > 0 ? 'from one of the addresses that the key is bound to' : null,
  }),
  PLAN: ({ plan, labels }) => ({
    because: [plan?.alias.id ?? null, ...(plan?.policies ?? []).map(({ policy }) => policy.id)],
    detail: labelsTold(labels?.recorded ?? {}),
  }),
  GUARD: () => ({ because: [], detail: null }),
  ROUTE({ judgement, itinerary, plan }) {
    const decisions = judgement?.decisions ?? []
    const telling = decisions.filter(({ verdict }) => verdict !== 'PASSED')
    const route = (itinerary?.route ?? plan?.alias.route)?.id ?? null
    const passedOver = new Set((judgement?.exclusions ?? []).map(exclusionTold))
    const reason = itinerary ? [...namesOf(itinerary.targets), itinerary.reasonWith(({ name }) => name)] : []
    return {
      because: [...telling.map(({ policy }) => policy), route],
      detail: sentence([...(reason.length > 0 ? [reason.join(': ')] : []), ...passedOver]),
      decisions,
    }
  },
  ENCODE({ served, itinerary }) {
    const target = served?.target ?? itinerary?.targets[0]
    const sheet = served && 'sheet' in served.prices ? served.prices.sheet : null
    const { inputTokens, outputTokens } = served?.ceiling ?? {}
    const bound = served && `at most ${inputTokens} input and ${outputTokens ?? 'any number of'} output tokens`
    const lossy = served && served.lossy.length > 0 ? [`without ${served.lossy.join(', ')}`] : []
    const budgets = (served?.counters ?? []).map(({ of }) => of.id)
    return {
      because: [target?.model.id ?? null, sheet, ...budgets],
      detail: sentence([...(bound ? [bound] : []), ...lossy]),
    }
  },
}

const exclusionTold = ({ policy, target, objection }: Exclusion) =>
  `${target.model.name} ${policy.mode === 'OBSERVE' ? 'would be' : 'is'} ${objection}`

/** In the order they are tried; one that several credentials open is named once. Nothing where there are none. */
const namesOf = (targets: readonly { model: { name: string } }[]) =>
  targets.length > 0 ? [[...new Set(targets.map(({ model }) => model.name))].join(', ')] : []

const sentence = (parts: readonly string[]) => (parts.length > 0 ? parts.join('; ') : null)

function labelsTold(labels: Readonly<Record<string, string>>): string | null {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}=${value}`)
  return pairs.length > 0 ? `labels ${pairs.join(', ')}` : null
}
