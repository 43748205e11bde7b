import type { FlightRecord } from '../../../schema/flight-record.ts'
import { formatAmount, parseAmount } from '../../../schema/money.ts'
import { firstRefusals, percentOf } from '../../sim/one-pool.ts'
import type { Scene } from '../budgets.ts'
import { faultOf, type Shown } from './budget-balances.ts'
import { counterName, countersOf } from './budget-declaration.ts'
import type { Answered } from './budget-load.ts'
import { ceilingOf, costOf } from './budget-questions.ts'
import { atRest } from './budget-rest.ts'
import { FreeMoney, heldOf } from './budget-trace.ts'
import type { BalanceWatch } from './budget-watch.ts'
import { readBooks } from './record-audit.ts'

/** A refusal is wrong where more than this share of the limit was free beyond what the request needed. */
const tolerance = (limit: bigint) => limit / 200n
const spentPercentMin = 99

/** What is told of all seeds together. */
export class BudgetFigures {
  requests = 0
  records = 0
  refusals = 0
  wrongRefusals = 0
  worstOverspend = 0n
  counters = 0
  full = 0
  #firstRefusals: number[] = []
  #onePool: number[] = []

  noteFirstRefusals(ours: number[], pool: number[]): void {
    this.#firstRefusals.push(...ours)
    this.#onePool.push(...pool)
  }

  told(): Record<string, string | number> {
    const { requests, records, refusals, wrongRefusals, worstOverspend, counters, full } = this
    return {
      ...{ requests, records, refusals, wrongRefusals, worstOverspend: formatAmount(worstOverspend) },
      budgetsAtTheirEnd: `${full}/${counters}`,
      firstRefusalAt: `${median(this.#firstRefusals)}%`,
      onePoolAt: `${median(this.#onePool)}%`,
    }
  }
}

const median = (all: number[]) => (all.length === 0 ? '-' : all.sort((a, b) => a - b)[all.length >> 1]!.toFixed(1))

/** Holds books, balances and the provider's own bill against one another when nothing moves any more. */
export async function judgeBudgets(scene: Scene, watch: BalanceWatch, figures: BudgetFigures): Promise<void> {
  const { house, checks, load, say } = scene
  checks.that(watch.looks > 0, 'no balance was seen while requests ran')
  const shown = await atRest(scene)
  const books = await readBooks(house.database.url)
  const records = books.rows.map(({ record }) => record)
  const names = await budgetNames(scene)
  judgeSums(scene, shown, records, names)
  judgeBill(scene, shown, records, figures)
  judgeEnds(scene, shown, figures)
  judgeRefusals(scene, records, names, figures)
  const unheard = load.answered.filter(({ outcome, excused }) => outcome.startsWith('unheard') && !excused)
  for (const { outcome } of unheard.slice(0, 3)) say(outcome)
  checks.equal('requests left without an answer by a gateway that runs', unheard.length, 0)
  for (const member of [...house.gateways, house.control])
    for (const line of member.complaints.slice(-3)) say(`${member.name} said: ${line}`)
  figures.requests += load.answered.length
  figures.records += records.length
}

async function budgetNames({ house }: Scene): Promise<(id: string) => string> {
  const { tenant } = await house.ask<{ tenant: { budgets: { nodes: { id: string; name: string }[] } } }>(
    '{ tenant { budgets(first: 50) { nodes { id name } } } }',
  )
  const names = new Map(tenant.budgets.nodes.map(({ id, name }) => [id, name]))
  return (id) => names.get(id) ?? id
}

/** Nothing is leased, and what is spent is the sum of the records' postings, to the last digit. */
function judgeSums({ checks }: Scene, shown: Shown[], records: FlightRecord[], nameOf: (id: string) => string): void {
  const posted = new Map<string, bigint>()
  for (const { budget, subject, amount } of records.flatMap(({ postings }) => postings)) {
    const counter = counterName(nameOf(budget), subject)
    posted.set(counter, (posted.get(counter) ?? 0n) + parseAmount(amount)!)
  }
  for (const each of shown) {
    const fault = faultOf(each)
    checks.that(fault === undefined, `at rest ${fault}`)
    checks.equal(`money still leased under ${each.counter}`, formatAmount(each.leased), '0')
    const sum = posted.get(each.counter) ?? 0n
    checks.equal(`spent under ${each.counter}`, formatAmount(each.spent), formatAmount(sum))
    posted.delete(each.counter)
  }
  checks.equal('counters that records post to and no balance shows', [...posted.keys()], [])
}

/** The provider's own bill is below every limit, and below what is recorded; what was answered is recorded as billed. */
function judgeBill(
  { checks, upstream, budgets, questions, load }: Scene,
  shown: Shown[],
  records: FlightRecord[],
  figures: BudgetFigures,
) {
  const billed = new Map<string, bigint>()
  for (const { at, cost } of upstream.bill)
    for (const counter of countersOf(budgets, questions[at]!)) billed.set(counter, (billed.get(counter) ?? 0n) + cost)
  for (const { counter, action, limit, adjustments, spent } of shown) {
    const wanted = billed.get(counter) ?? 0n
    checks.that(
      wanted <= spent,
      `the provider wants ${formatAmount(wanted - spent)} more than is posted under ${counter}`,
    )
    if (action === 'WARN') continue
    const over = wanted - limit - adjustments
    if (over > figures.worstOverspend) figures.worstOverspend = over
    checks.that(over <= 0n, `${counter} is overrun by ${formatAmount(over)}, by the provider's bill`)
  }
  const costs = new Map(records.map(({ id, cost }) => [id, cost]))
  const answered = load.answered.filter(({ outcome }) => outcome === 'answered')
  const wrong = answered.filter(({ id, question }) => costs.get(id!) !== formatAmount(costOf(question)))
  checks.equal('answered requests that are not recorded as they are billed', wrong.length, 0)
}

/** Each budget is spent to its end, or each of its requests falls under another that is. */
function judgeEnds({ checks, budgets, questions }: Scene, shown: Shown[], figures: BudgetFigures): void {
  const hard = shown.filter(({ action, limit }) => action !== 'WARN' && limit > 0n)
  const percent = ({ spent, limit, adjustments }: Shown) => percentOf(spent, limit + adjustments)
  const ended = new Set(hard.filter((each) => percent(each) >= spentPercentMin).map(({ counter }) => counter))
  const together = questions.map((question) => countersOf(budgets, question))
  for (const each of hard) {
    const others = together.filter((counters) => counters.includes(each.counter))
    const blocked = others.every((counters) => counters.some((counter) => ended.has(counter)))
    checks.that(blocked, `${each.counter} ends at ${percent(each)} % spent though nothing else is exhausted`)
  }
  figures.counters += hard.length
  figures.full += ended.size
}

/** A refusal is right where at some moment while it was decided some counter could not bear the ceiling. */
function judgeRefusals(
  scene: Scene,
  records: FlightRecord[],
  nameOf: (id: string) => string,
  figures: BudgetFigures,
): void {
  const { load, limits, stranded, budgets, checks, say } = scene
  const held = records.flatMap((record) => heldOf(record, nameOf) ?? [])
  const free = new FreeMoney(held, stranded, limits)
  const byId = new Map(records.map((record) => [record.id, record]))
  const hard = new Set(budgets.filter(({ action }) => action !== 'WARN').map(({ name }) => name))
  const refused = load.answered.filter(({ outcome }) => outcome === 'budget_exhausted')
  const wrong = refused.filter(({ id, question }) => {
    const record = byId.get(id!)
    if (!record) return true
    const toMs = record.at + record.timing.totalMs
    const limitNow = (counter: string) => limits.findLast(({ fromMs }) => fromMs <= toMs)!.limits.get(counter)!
    const counters = countersOf(budgets, question).filter((counter) => hard.has(counter.split(' ')[0]!))
    return counters.every(
      (counter) => free.least(counter, record.at, toMs) >= ceilingOf(question) + tolerance(limitNow(counter)),
    )
  })
  for (const { question, gateway, id } of wrong.slice(0, 3)) {
    const { at = 0, timing } = byId.get(id!) ?? {}
    const toMs = at + (timing?.totalMs ?? 0)
    const least = countersOf(budgets, question).map((name) => `${name}: ${formatAmount(free.least(name, at, toMs))}`)
    const asked = `question ${question.at} for ${formatAmount(ceilingOf(question))} by ${gateway} within ${toMs - at} ms`
    say(`refused wrongly: ${asked}; free were ${least.join(', ')}`)
  }
  checks.equal('requests refused though there was money', wrong.length, 0)
  figures.refusals += refused.length
  figures.wrongRefusals += wrong.length
  noteUtilisation(scene, refused, figures)
}

/** How much of each budget of the first wave was spent when it first refused, here and in one pool that knows everything. */
function noteUtilisation(
  { load, limits, budgets, upstream }: Scene,
  refused: Answered[],
  figures: BudgetFigures,
): void {
  const [{ limits: first } = { limits: new Map<string, bigint>() }] = limits
  const wave = load.answered.slice(0, 1_000)
  const pool = wave.map(({ question, fromMs }) => ({
    ...{ fromMs, toMs: fromMs + question.takesMs, ceiling: ceilingOf(question), cost: costOf(question) },
    counters: countersOf(budgets, question),
  }))
  const hard = new Map([...first].filter(([counter]) => !counter.startsWith('told')))
  const ours = [...hard].flatMap(([counter, limit]) => {
    const at = refused.find(({ question }) => countersOf(budgets, question).includes(counter))
    if (!at) return []
    const before = upstream.bill.filter(({ toMs }) => toMs <= at.toMs)
    const spent = before
      .filter((charge) =>
        wave.some(({ question }) => question.at === charge.at && countersOf(budgets, question).includes(counter)),
      )
      .reduce((sum, { cost }) => sum + cost, 0n)
    return [percentOf(spent, limit)]
  })
  figures.noteFirstRefusals(
    ours,
    firstRefusals(pool, hard).map(({ spentPercent }) => spentPercent),
  )
}
