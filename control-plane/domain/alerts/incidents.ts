import { and, eq, isNull } from 'drizzle-orm'
import type { IncidentTrigger, Resource, Severity } from '../../../schema/config/index.ts'
import type { Tx } from '../../db/database.ts'
import { alert } from '../../db/tables.ts'
import type { Context } from '../context.ts'
import { liveResources } from '../resources.ts'
import { raise, resolve } from './alerts.ts'

export interface Incident {
  trigger: IncidentTrigger
  /** What it is about, in words of its own: the same text is the same incident, told once while it is open. */
  about: string
  /** One sentence, without content and without secrets. */
  summary: string
  severity?: Severity
  /** Id of a declared resource; null = of none. */
  subject?: string | null
  figures?: Record<string, string>
}

type Noting = Pick<Context, 'db' | 'clock'>

/**
 * Raises an alert that needs no rule, in the transaction that found the incident. Rules on its trigger only say which webhooks
 * hear of it too. Null where the same incident is open already.
 */
export async function raiseIncident(tx: Tx, ctx: Noting, tenant: string, incident: Incident): Promise<string | null> {
  const { trigger, about, summary, severity = 'CRITICAL', subject = null, figures = {} } = incident
  const condition = conditionOf(trigger, about)
  const webhooks = await hearing(tx, tenant, trigger)
  return raise(tx, ctx, tenant, { condition, rule: null, trigger, severity, subject, summary, figures, webhooks })
}

/** Ends an incident; false where none of that name is open. */
export async function resolveIncident(
  tx: Tx,
  ctx: Noting,
  tenant: string,
  { trigger, about }: Pick<Incident, 'trigger' | 'about'>,
): Promise<boolean> {
  const named = and(
    eq(alert.tenant, tenant),
    eq(alert.condition, conditionOf(trigger, about)),
    isNull(alert.resolvedAt),
  )
  const [open] = await tx.select({ id: alert.id }).from(alert).where(named)
  return open ? resolve(tx, ctx, tenant, open.id, await hearing(tx, tenant, trigger)) : false
}

const conditionOf = (trigger: IncidentTrigger, about: string) => `incident|${trigger}|${about}`

async function hearing(tx: Tx, tenant: string, trigger: IncidentTrigger): Promise<string[]> {
  const rules: Resource<'alertRule'>[] = await liveResources(tx, tenant, ['alertRule'])
  return rules.filter(({ spec }) => spec.on === trigger).flatMap(({ spec }) => spec.webhooks)
}
