import type { EventKind } from '../../../schema/config/index.ts'
import { handleOf } from '../../../schema/handles.ts'
import type { Tx } from '../../db/database.ts'
import { findAlert } from '../alerts/alerts.ts'
import type { OutboxBody } from '../outbox.ts'
import { resourcesByIds } from '../resources.ts'

/**
 * What a webhook is sent: `type`, `timestamp` and `data`, as Standard Webhooks recommends, and beside them where it happened and
 * the place in the tenant's log, from which `events(after:)` goes on. Ids, handles and figures; never content, never a secret.
 */
export interface WebhookBody {
  type: EventKind
  timestamp: string
  tenant: string
  /** Null for a test. */
  cursor: string | null
  /** True where somebody only tries the way. */
  test?: true
  data: object
}

const changesMax = 100

/** `data` of an event, as it is when it is first sent. */
export async function dataOf(tx: Tx, tenant: string, body: OutboxBody): Promise<object> {
  switch (body.kind) {
    case 'CONFIG_CHANGED': {
      const { revision, actor, changes } = body
      const told = changes.slice(0, changesMax).map(({ action, ref }) => ({ action, ref }))
      return { revision, actor: { kind: actor.kind, id: actor.id }, changes: told, changesTotal: changes.length }
    }
    case 'DATA_PLANE_CHANGED':
      return { dataPlane: await named(tx, tenant, body.dataPlane) }
    case 'BUDGET_CHANGED': {
      const { subject, window, ...figures } = body.balance
      return { budget: await named(tx, tenant, body.budget), balance: { subject, window: told(window), ...figures } }
    }
    case 'ALERT_RAISED':
    case 'ALERT_RESOLVED':
      return { alert: await alertData(tx, tenant, body.alert) }
  }
}

async function alertData(tx: Tx, tenant: string, id: string): Promise<object> {
  const alert = await findAlert(tx, tenant, id)
  if (!alert) return { id }
  const { trigger, severity, summary, figures, at, resolvedAt } = alert
  return {
    ...{ id, trigger, severity, summary, figures, at, resolvedAt },
    rule: await named(tx, tenant, alert.rule),
    subject: await named(tx, tenant, alert.subject),
  }
}

async function named(tx: Tx, tenant: string, id: string | null): Promise<{ id: string; handle: string | null } | null> {
  if (id === null) return null
  const [found] = await resourcesByIds(tx, tenant, [id])
  return { id, handle: found ? handleOf(found.kind, found.name) : null }
}

const told = ({ from, to }: { from: number; to: number }) => ({
  from: new Date(from).toISOString(),
  to: new Date(to).toISOString(),
})

const sampleBalance = (at: string) => ({
  ...{ subject: null, window: { from: at, to: at }, currency: 'USD' },
  ...{ limit: '0', adjustments: '0', overruns: '0', released: '0', leased: '0', spent: '0', available: '0' },
})

/** What `webhookTest` sends of a kind: the form of it, about nothing that exists. */
export function sampleData(kind: EventKind, nowMs: number): object {
  const at = new Date(nowMs).toISOString()
  if (kind === 'CONFIG_CHANGED')
    return { revision: 0, actor: { kind: 'SYSTEM', id: 'system' }, changes: [], changesTotal: 0 }
  if (kind === 'DATA_PLANE_CHANGED') return { dataPlane: { id: 'dpl_test', handle: 'data-plane/test' } }
  if (kind === 'BUDGET_CHANGED')
    return { budget: { id: 'bud_test', handle: 'budget/test' }, balance: sampleBalance(at) }
  const resolvedAt = kind === 'ALERT_RESOLVED' ? at : null
  const summary = 'A test of this webhook; nothing happened.'
  const plain = { trigger: 'BUDGET_THRESHOLD', severity: 'INFO', summary, figures: {} }
  return { alert: { id: 'alt_test', ...plain, at, resolvedAt, rule: null, subject: null } }
}
