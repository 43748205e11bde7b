import type { Client } from '../api/client.ts'
import { errorFields, type Locate, type UserError, write } from '../api/write.ts'
import { type Failed, isFailed } from '../trouble.ts'
import type { FileResource } from './check.ts'

export interface FieldChange {
  path: string[]
  before: string | null
  after: string | null
}

export interface Plan {
  digest: string
  baseRevision: number
  changes: { action: 'CREATE' | 'UPDATE' | 'ARCHIVE' | 'RESTORE' | 'UNCHANGED'; ref: string; fields: FieldChange[] }[]
  warnings: { path: string[]; message: string }[]
  impact: { projects: number; apiKeys: number; dataPlanes: number; requestsLastDay: number }
}

export interface Applied {
  errors: UserError[]
  plan: Plan | null
  revision: number
  audit: { sequence: number; hash: string } | null
  cursor: string | null
}

/** What is to be changed, and where an error's path stands in what was typed or read. */
export type Wanted = (Declaring | Retiring | Reverting) & { reason?: string | null; locate?: Locate }

/** From files, or made by the CLI itself. */
interface Declaring {
  resources: Pick<FileResource, 'kind' | 'input'>[]
  prune?: Record<string, string> | null
}

interface Retiring {
  retire: 'archive' | 'restore'
  refs: string[]
}

interface Reverting {
  toRevision: number
}

const documentOf = (wanted: Wanted) => {
  if ('resources' in wanted) return writeDocument('apply', 'ApplyInput')
  return 'retire' in wanted ? writeDocument(wanted.retire, 'ArchiveInput') : writeDocument('revert', 'RevertInput')
}

const writeDocument = (mutation: string, input: string) => `mutation Write($input: ${input}!) {
  write: ${mutation}(input: $input) {
    ${errorFields}
    revision cursor audit { sequence hash }
    plan {
      digest baseRevision
      changes { action ref fields { path before after } }
      warnings { path message }
      impact { projects apiKeys dataPlanes requestsLastDay }
    }
  }
}`

const revisionDocument = 'query Revision { tenant { configRevision } }'

/** A plan that was made and not yet carried out. `revision` is what was read before planning. */
export interface Planned {
  revision: number
  plan: Plan
}

/** Plans by a dry run of the very write that would follow. */
export async function makePlan(client: Client, wanted: Wanted): Promise<Planned | Failed> {
  const read = await client.ask<{ tenant: { configRevision: number } }>(revisionDocument)
  if (isFailed(read)) return read
  const revision = read.tenant.configRevision
  const { locate } = wanted
  const answer = await write<Applied>(client, documentOf(wanted), inputOf(wanted, revision, { dryRun: true }), {
    retry: 'ALWAYS',
    locate,
  })
  return isFailed(answer) ? answer : { revision, plan: answer.plan! }
}

/** Carries out exactly the plan that was shown, or nothing. */
export async function carryOut(client: Client, wanted: Wanted, { revision, plan }: Planned): Promise<Applied | Failed> {
  const input = inputOf(wanted, revision, { dryRun: false, planDigest: plan.digest })
  // Sent twice, the second would be refused for what the first one changed.
  return write<Applied>(client, documentOf(wanted), input, { retry: 'UNSENT', locate: wanted.locate })
}

function inputOf({ locate: _, ...wanted }: Wanted, ifRevision: number, more: object): Record<string, unknown> {
  const { reason } = wanted
  const shared = { ifRevision, reason, ...more }
  if ('toRevision' in wanted) return { toRevision: wanted.toRevision, ...shared }
  if ('retire' in wanted) return { refs: wanted.refs, ...shared }
  return { resources: wanted.resources.map(({ kind, input }) => ({ [kind]: input })), prune: wanted.prune, ...shared }
}

/** Turns `['resources', '3', 'model', 'bounds', …]` into the line of the file. */
export function locateIn(resources: readonly FileResource[]): Locate {
  return ([list, index, kind, field, ...rest]) => {
    const found = list === 'resources' ? resources[Number(index)] : undefined
    if (!found || found.kind !== kind) return undefined
    const steps = rest.map((step) => (/^\d+$/.test(step) ? Number(step) : step))
    return found.source.at(field === undefined ? [] : [found.keyOf(field), ...steps])
  }
}

export function isUnchanged({ changes }: Plan): boolean {
  return changes.every(({ action }) => action === 'UNCHANGED')
}
