import { kinds } from '../../schema/handles.ts'
import { type IdKind, idKind } from '../../schema/ids.ts'

/** The GraphQL type behind a node: a record stands under `record`, a lease has no id of its own; everything else says its kind in it. */
export function typeOfNode(node: { id?: string; record?: unknown; granted?: unknown }): string {
  if (node.record) return 'FlightRecord'
  if (node.granted) return 'Lease'
  const kind: IdKind | undefined = node.id ? idKind(node.id) : undefined
  if (kind === 'audit') return 'AuditEntry'
  if (kind === 'instance') return 'Instance'
  if (kind === 'alert') return 'Alert'
  if (kind === 'webhookDelivery') return 'WebhookDelivery'
  if (kind === 'budgetAdjustment') return 'BudgetAdjustment'
  return kinds[kind as keyof typeof kinds].type
}
