import type { Resource } from '../../schema/config/index.ts'
import { type Kind, kinds } from '../../schema/handles.ts'
import type { Alert } from '../domain/alerts/alerts.ts'
import type { AuditRow } from '../domain/audit.ts'
import type { AdjustmentRow, LeaseRow } from '../domain/budgets/reading.ts'
import type { Instance } from '../domain/planes.ts'
import type { RecordRow } from '../domain/records.ts'
import type { Delivery } from '../domain/webhooks/deliveries.ts'
import { builder } from './builder.ts'

/** The types that others name. Each is filled in by the file of its noun. */
const typeOf = <K extends Kind>(kind: K) => builder.objectRef<Resource<K>>(kinds[kind].type)

export const Node = builder.nodeInterfaceRef()
export const ResourceType = builder.interfaceRef<Resource>('Resource')
export const Tenant = typeOf('tenant')
export const Team = typeOf('team')
export const Project = typeOf('project')
export const Principal = typeOf('principal')
export const ApiKey = typeOf('apiKey')
export const Provider = typeOf('provider')
export const Credential = typeOf('credential')
export const Model = typeOf('model')
export const Tier = typeOf('tier')
export const Alias = typeOf('alias')
export const Route = typeOf('route')
export const PriceSheet = typeOf('priceSheet')
export const Budget = typeOf('budget')
export const RateLimit = typeOf('rateLimit')
export const Policy = typeOf('policy')
export const Webhook = typeOf('webhook')
export const AlertRule = typeOf('alertRule')
export const DataPlane = typeOf('dataPlane')
export const InstanceType = builder.objectRef<Instance>('Instance')
export const FlightRecordType = builder.objectRef<RecordRow>('FlightRecord')
export const AlertType = builder.objectRef<Alert>('Alert')
export const WebhookDelivery = builder.objectRef<Delivery>('WebhookDelivery')
export const AuditEntry = builder.objectRef<AuditRow>('AuditEntry')
export const BudgetAdjustmentType = builder.objectRef<AdjustmentRow>('BudgetAdjustment')
export const LeaseType = builder.objectRef<LeaseRow>('Lease')
