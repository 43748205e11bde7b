import { kinds } from '../../schema/handles.ts'
import { type IdKind, idKind } from '../../schema/ids.ts'

/** The GraphQL type behind a node: a record stands under `record`, everything else says its kind in its id. */
export function typeOfNode(node: { id?: string; record?: unknown }): string {
  if (node.record) return 'FlightRecord'
  const kind: IdKind | undefined = node.id ? idKind(node.id) : undefined
  if (kind === 'audit') return 'AuditEntry'
  if (kind === 'instance') return 'Instance'
  if (kind === 'alert') return 'Alert'
  if (kind === 'webhookDelivery') return 'WebhookDelivery'
  return kinds[kind as keyof typeof kinds].type
}
