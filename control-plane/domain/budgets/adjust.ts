import type { Resource } from '../../../schema/config/index.ts'
import { handleOf } from '../../../schema/handles.ts'
import { declaredMax, formatAmount, parseAmount } from '../../../schema/money.ts'
import type { Actor } from '../actor.ts'
import { type AuditRow, auditActor, record } from '../audit.ts'
import type { Context } from '../context.ts'
import { invalidInput, notFound, type UserError, type Written } from '../errors.ts'
import { adjustCounter } from '../ledger/adjust.ts'
import type { Lookup } from '../lookup.ts'
import { mintOnce } from '../mint.ts'
import { type AdjustmentRow, findAdjustment } from './reading.ts'
import { checkReason } from './reasons.ts'
import { isLabelValue, subjectKinds } from './subjects.ts'

export interface BudgetAdjustInput {
  idempotencyKey: string
  budget: string
  subject?: string | null
  amount: { amount: string; currency: string }
  expiresAt?: string | null
  reason: string
}

export interface BudgetWritten extends Written {
  budget: Resource<'budget'> | null
  adjustment: AdjustmentRow | null
  replayed: boolean
}

type Budget = Resource<'budget'>

/** Adds money to the present window of one counter, or takes it away; once per idempotency key. */
export async function budgetAdjust(ctx: Context, actor: Actor, input: BudgetAdjustInput): Promise<BudgetWritten> {
  const { idempotencyKey, ...body } = input
  const mint = { operation: 'budget.adjust', key: idempotencyKey, body }
  const minted = await mintOnce<null>(ctx, actor, mint, ['config:write'], async (tx, lookup, tenant, errors) => {
    const checked = await check(ctx, lookup, tenant, input, errors)
    if (!checked) return undefined
    const { budget, subject, amount, expiresAtMs } = checked
    const given = { subject, amount, expiresAtMs, reason: input.reason, actor: auditActor(actor) }
    const { id } = await adjustCounter(tx, ctx, actor.tenant, { budget: budget.id, ...given })
    const changes = [
      { path: ['adjustments', id, ...(subject && [subject])], before: null, after: formatAmount(amount) },
    ]
    const targets = [{ id: budget.id, name: budget.name, changes }]
    const audit = await record(tx, ctx, actor, { action: mint.operation, targets, reason: input.reason })
    await ctx.db.notify(tx, 'records', actor.tenant)
    return { resource: budget, audit, extra: null }
  })
  const { resource, extra: _, ...written } = minted
  const adjustment = resource ? await adjustmentOf(ctx, actor, written.audit) : undefined
  return { ...written, budget: resource as Budget | null, adjustment: adjustment ?? null }
}

/** A replay, too, tells what was made: the audit entry names it. */
async function adjustmentOf(
  ctx: Context,
  { tenant }: Actor,
  audit: AuditRow | null,
): Promise<AdjustmentRow | undefined> {
  const id = audit?.targets[0]?.changes[0]?.path[1]
  return id === undefined ? undefined : ctx.db.withTenant(tenant, (tx) => findAdjustment(tx, tenant, id))
}

interface Checked {
  budget: Budget
  /** '' = the one counter. */
  subject: string
  amount: bigint
  expiresAtMs: number | null
}

async function check(
  ctx: Context,
  lookup: Lookup,
  tenant: Resource<'tenant'>,
  input: BudgetAdjustInput,
  errors: UserError[],
): Promise<Checked | undefined> {
  await lookup.load([input.budget, ...(input.subject ? [input.subject] : [])])
  const budget = lookup.find(input.budget)
  checkReason(input.reason, errors)
  const amount = checkAmount(input.amount, tenant.spec.currency, errors)
  const expiresAtMs = checkEnd(input.expiresAt, ctx.clock.now(), errors)
  if (budget?.kind !== 'budget') {
    errors.push(notFound(['budget'], input.budget))
    return undefined
  }
  const subject = checkSubject(budget, input.subject ?? null, lookup, errors)
  if (errors.length > 0) return undefined
  return { budget, subject: subject!, amount: amount!, expiresAtMs: expiresAtMs! }
}

function checkAmount(given: BudgetAdjustInput['amount'], currency: string, errors: UserError[]): bigint | undefined {
  const amount = parseAmount(given.amount)
  if (given.currency !== currency)
    errors.push(invalidInput(['amount', 'currency'], `is ${currency} in this tenant`, currency))
  if (amount === undefined)
    errors.push(invalidInput(['amount', 'amount'], 'is no decimal with at most 12 digits after the point'))
  else if (amount === 0n) errors.push(invalidInput(['amount', 'amount'], 'must not be 0'))
  else if (amount > declaredMax || amount < -declaredMax)
    errors.push(invalidInput(['amount', 'amount'], 'is more than 10¹⁵'))
  return amount
}

/** Null where it ends with its window. */
function checkEnd(given: string | null | undefined, nowMs: number, errors: UserError[]): number | null {
  if (given === null || given === undefined) return null
  const atMs = /^\d{4}-\d{2}-\d{2}T/.test(given) ? Date.parse(given) : Number.NaN
  if (Number.isNaN(atMs))
    errors.push(invalidInput(['expiresAt'], 'is no RFC 3339 instant such as 2026-01-31T00:00:00Z'))
  else if (atMs <= nowMs) errors.push(invalidInput(['expiresAt'], 'is in the past'))
  return atMs
}

function checkSubject(
  { name, spec }: Budget,
  given: string | null,
  lookup: Lookup,
  errors: UserError[],
): string | undefined {
  const handle = handleOf('budget', name)
  if (spec.per === null) {
    if (given !== null) errors.push(invalidInput(['subject'], `${handle} has one counter; leave it out`))
    return ''
  }
  if (given === null) {
    errors.push(invalidInput(['subject'], `is needed: ${handle} counts per ${spec.per}`))
    return undefined
  }
  if (spec.per === 'LABEL_VALUE') {
    if (!isLabelValue(given)) errors.push(invalidInput(['subject'], 'is no value of a label'))
    return given
  }
  const found = lookup.find(given)
  if (found?.kind !== subjectKinds[spec.per]) errors.push(notFound(['subject'], given))
  return found?.id
}
