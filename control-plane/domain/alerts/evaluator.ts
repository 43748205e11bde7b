import { sql } from 'drizzle-orm'
import type { AlertTrigger, Resource } from '../../../schema/config/index.ts'
import type { Tx } from '../../db/database.ts'
import type { Context } from '../context.ts'
import { lockSpaces } from '../lock-spaces.ts'
import { rarely } from '../rarely.ts'
import { liveResources } from '../resources.ts'
import { type AlertRow, openAlerts, raise, resolve } from './alerts.ts'
import { gatherFacts } from './facts.ts'
import { judge, type Verdict } from './judge.ts'

export interface Evaluator {
  /** Judges every tenant now, all of its rules; for tests. */
  evaluate(): Promise<void>
  stop(): Promise<void>
}

/** Who has something new in the log is looked at this often, all others and at every lost notification at the sweep. */
const lookMs = 1_000
const sweepMs = 4_000
/** What changes slowly and is dear to read. */
const slowMs = 15_000
const slow: ReadonlySet<AlertTrigger> = new Set(['BUDGET_FORECAST', 'DATA_PLANE_BEHIND', 'API_KEY_EXPIRING'])
/** Judging takes a tenth of the time at most: who has 100,000 counters is looked at less often. */
const restFactor = 9
const restMsMax = 15_000
/** One round begins and ends so many alerts at most; the next goes on. */
const changesPerRound = 200

type Evaluating = Pick<Context, 'db' | 'clock'>
type Rule = Resource<'alertRule'>

/**
 * Looks again and again whether what the rules speak of holds, and raises and resolves alerts. One control plane judges a tenant
 * at a time (advisory lock), and an open alert's condition is unique, so several raise none twice. Woken by notifications and
 * by real time; judged by `ctx.clock`.
 */
export async function startEvaluator(ctx: Evaluating, hear: (fault: unknown) => void = () => {}): Promise<Evaluator> {
  const work = new Looking(ctx, rarely(hear))
  const unlisten = await ctx.db.listen('log', (tenant) => work.dirty.add(tenant))
  const timer = setInterval(() => void work.look(false), lookMs)
  return {
    async evaluate() {
      await work.running
      await work.look(true)
    },
    async stop() {
      clearInterval(timer)
      await unlisten()
      await work.running
    },
  }
}

/** Whose turn it is, and the one round that is under way. All times are real ones. */
class Looking {
  /** Who has something new; '' = nobody knows who. */
  readonly dirty = new Set<string>()
  running: Promise<void> | undefined
  readonly #ctx: Evaluating
  readonly #report: (fault: unknown) => void
  readonly #slowAtMs = new Map<string, number>()
  readonly #restUntilMs = new Map<string, number>()
  #sweptMs = Number.NEGATIVE_INFINITY

  constructor(ctx: Evaluating, report: (fault: unknown) => void) {
    this.#ctx = ctx
    this.#report = report
  }

  look(everything: boolean): Promise<void> {
    this.running ??= this.#round(everything)
      .catch(this.#report)
      .finally(() => {
        this.running = undefined
      })
    return this.running
  }

  async #round(everything: boolean) {
    const nowMs = performance.now()
    const sweeps = everything || this.dirty.has('') || nowMs - this.#sweptMs >= sweepMs
    if (!sweeps && this.dirty.size === 0) return
    const concerned = await tenantsWithRules(this.#ctx)
    const due = sweeps ? concerned : concerned.filter((tenant) => this.dirty.has(tenant))
    if (sweeps) this.#sweptMs = nowMs
    this.dirty.clear()
    for (const tenant of due) {
      // What cannot be judged of one tenant keeps no other waiting.
      if (everything || nowMs >= (this.#restUntilMs.get(tenant) ?? 0))
        await this.#evaluate(tenant, everything).catch(this.#report)
      else this.dirty.add(tenant)
    }
  }

  async #evaluate(tenant: string, everything: boolean) {
    const beganMs = performance.now()
    const all = everything || beganMs - (this.#slowAtMs.get(tenant) ?? Number.NEGATIVE_INFINITY) >= slowMs
    const outcome = await evaluateTenant(this.#ctx, tenant, all)
    if (all && outcome !== 'BUSY') this.#slowAtMs.set(tenant, beganMs)
    if (outcome === 'MORE') this.dirty.add(tenant)
    const tookMs = performance.now() - beganMs
    this.#restUntilMs.set(tenant, performance.now() + Math.min(restMsMax, tookMs * restFactor))
  }
}

async function tenantsWithRules({ db }: Evaluating): Promise<string[]> {
  const rows = await db.withInstallation((tx) =>
    tx.execute(sql`
      select id from tenant
      where exists (select 1 from resource where tenant = tenant.id and kind = 'alertRule' and archived_at is null)
        or exists (select 1 from alert where tenant = tenant.id and resolved_at is null and rule is not null)`),
  )
  return (rows as unknown as { id: string }[]).map(({ id }) => id)
}

/** One look at one tenant, in one transaction. `all`: also at what changes slowly. BUSY: another control plane is at it. */
export async function evaluateTenant(ctx: Evaluating, tenant: string, all: boolean): Promise<'DONE' | 'MORE' | 'BUSY'> {
  return ctx.db.withTenant(tenant, async (tx) => {
    if (!(await tryLock(tx, tenant))) return 'BUSY'
    const rules = (await liveResources(tx, tenant, ['alertRule'])) as Rule[]
    const judged = rules.filter(({ spec }) => all || !slow.has(spec.on))
    const facts = await gatherFacts(tx, tenant, judged, ctx.clock.now())
    const verdicts = judged.map((rule) => [rule, judge(rule, facts)] as const)
    const changes = changesOf(rules, verdicts, await openAlerts(tx, tenant))
    for (const change of changes.slice(0, changesPerRound)) await carryOut(tx, ctx, tenant, change)
    return changes.length > changesPerRound ? 'MORE' : 'DONE'
  })
}

type Change = { raise: Verdict; rule: Rule } | { resolve: AlertRow; rule: Rule | undefined }

/**
 * What has to begin and to end. An alert ends when its condition is clear, when what it was about is gone, and when its rule is
 * gone or looks for something else; one whose rule was not judged this time stays as it is.
 */
export function changesOf(
  rules: readonly Rule[],
  judged: readonly (readonly [Rule, readonly Verdict[]])[],
  open: readonly AlertRow[],
): Change[] {
  const byId = new Map(rules.map((rule) => [rule.id, rule]))
  const verdicts = new Map(judged.map(([rule, found]) => [rule.id, new Map(found.map((one) => [one.condition, one]))]))
  const ending = open.filter(({ rule, trigger, condition }) => {
    const of = byId.get(rule!)
    if (!of || of.spec.on !== trigger) return true
    const found = verdicts.get(of.id)
    return found !== undefined && (found.get(condition)?.state ?? 'CLEAR') === 'CLEAR'
  })
  const isOpen = new Set(open.map(({ condition }) => condition))
  const beginning = judged.flatMap(([rule, found]) =>
    found
      .filter(({ state, condition }) => state === 'RAISED' && !isOpen.has(condition))
      .map((raise) => ({ raise, rule })),
  )
  return [...ending.map((resolve) => ({ resolve, rule: byId.get(resolve.rule!) })), ...beginning]
}

async function carryOut(tx: Tx, ctx: Evaluating, tenant: string, change: Change): Promise<void> {
  const webhooks = change.rule?.spec.webhooks ?? []
  if ('resolve' in change) {
    await resolve(tx, ctx, tenant, change.resolve.id, webhooks)
    return
  }
  const { condition, subject, summary, figures } = change.raise
  const { id: rule, spec } = change.rule
  const { on: trigger, severity } = spec
  await raise(tx, ctx, tenant, { condition, rule, trigger, severity, subject, summary, figures, webhooks })
}

async function tryLock(tx: Tx, tenant: string): Promise<boolean> {
  const [row] = (await tx.execute(
    sql`select pg_try_advisory_xact_lock(${lockSpaces.alerts}, hashtext(${tenant})) as held`,
  )) as unknown as { held: boolean }[]
  return row!.held
}
