import type { FieldChange } from './audit.ts'

export type ChangeAction = 'CREATE' | 'UPDATE' | 'ARCHIVE' | 'UNCHANGED'

export interface Change {
  action: ChangeAction
  /** Handle. */
  ref: string
  fields: FieldChange[]
}

export interface PlanWarning {
  path: string[]
  message: string
}

export interface PlanImpact {
  projects: number
  apiKeys: number
  dataPlanes: number
  requestsLastDay: number
}

export interface Plan {
  /** Of the changes alone, so that an unrelated revision does not make a reviewed plan stale. */
  digest: string
  baseRevision: number
  changes: Change[]
  warnings: PlanWarning[]
  impact: PlanImpact
}
