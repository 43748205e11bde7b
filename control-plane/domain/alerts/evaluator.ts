import { sql } from 'drizzle-orm'
import type { AlertTrigger, Resource } from '../../../schema/config/index.ts'
import type { Tx } from '../../db/database.ts'
import type { Context } from '../context.ts'
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
const lockSpace = 5_834_522
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
  const report = rarely(hear)
  const dirty = new Set<string>()
  const slowAt = new Map<string, number>()
  const restUntilMs = new Map<string, number>()
  let sweptMs = Number.NEGATIVE_INFINITY
  let running: Promise<void> | undefined
  const unlisten = await ctx.db.listen('log', (tenant) => dirty.add(tenant))

  const round = async (everything: boolean) => {
    const nowMs = performance.now()
    const sweeps = everything || dirty.has('') || nowMs - sweptMs >= sweepMs
    if (!sweeps && dirty.size === 0) return
    const concerned = await tenantsWithRules(ctx)
    const tenants = sweeps ? concerned : concerned.filter((tenant) => dirty.has(tenant))
    if (sweeps) sweptMs = nowMs
    dirty.clear()
    for (const tenant of tenants) {
      if (!everything && nowMs < (restUntilMs.get(tenant) ?? 0)) {
        dirty.add(tenant)
        continue
      }
      const beganMs = performance.now()
      const all = everything || nowMs - (slowAt.get(tenant) ?? Number.NEGATIVE_INFINITY) >= slowMs
      const outcome = await evaluateTenant(ctx, tenant, all)
      if (all && outcome !== 'BUSY') slowAt.set(tenant, nowMs)
      if (outcome === 'MORE') dirty.add(tenant)
      const tookMs = performance.now() - beganMs
      restUntilMs.set(tenant, performance.now() + Math.min(restMsMax, tookMs * restFactor))
    }
  }
  const look = (everything = false) => {
    running ??= round(everything)
      .catch(report)
      .finally(() => {
        running = undefined
      })
    return running
  }
  const timer = setInterval(() => void look(), lookMs)
  return {
    async evaluate() {
      await running
      await look(true)
    },
    async stop() {
      clearInterval(timer)
      await unlisten()
      await running
    },
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
    sql`select pg_try_advisory_xact_lock(${lockSpace}, hashtext(${tenant})) as held`,
  )) as unknown as { held: boolean }[]
  return row!.held
}
