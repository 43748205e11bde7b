import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import type { Resource } from '../../schema/config/index.ts'
import { handleOf } from '../../schema/handles.ts'
import type { FieldChange } from './audit.ts'
import { diffResources, type ShowId } from './diff.ts'

export type ChangeAction = 'CREATE' | 'UPDATE' | 'ARCHIVE' | 'RESTORE' | 'UNCHANGED'

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

/** One resource on its way: as it is, and as it will be. `archivedAt` set in `after` retires it, only in `before` brings it back. */
export interface Draft {
  before: Resource | undefined
  after: Resource
  /** Where in the input it was asked for. */
  path: string[]
}

export function actionOf({ before, after }: Draft): ChangeAction {
  if (!before) return 'CREATE'
  if (after.archivedAt) return 'ARCHIVE'
  if (before.archivedAt) return 'RESTORE'
  const shape = ({ name, labels, spec }: Resource) => canonicalize({ name, labels, spec })
  return shape(before) === shape(after) ? 'UNCHANGED' : 'UPDATE'
}

/** A change as people read it: handles instead of ids. A rename is told under the old name. */
export function changeOf(draft: Draft, show: ShowId): Change {
  const action = actionOf(draft)
  const { kind, name } = draft.before ?? draft.after
  const told = action !== 'ARCHIVE' && action !== 'UNCHANGED'
  return { action, ref: handleOf(kind, name), fields: told ? diffResources(draft.before, draft.after, show) : [] }
}

export function digestOf(changes: Change[]): string {
  const told = changes.filter((change) => change.action !== 'UNCHANGED')
  return createHash('sha256').update(canonicalize(told)!).digest('hex')
}
