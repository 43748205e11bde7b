import { isDeepStrictEqual } from 'node:util'
import { and, eq, inArray, isNull, or, sql } from 'drizzle-orm'
import { labelFault, type RequestLabel, type Resource } from '../../schema/config/index.ts'
import { isLabelScope, parseLabelScope } from '../../schema/handles.ts'
import type { Tx } from '../db/database.ts'
import { resource } from '../db/tables.ts'
import { invalidInput, stillReferenced, type UserError } from './errors.ts'
import type { Lookup } from './lookup.ts'
import type { Draft } from './plan.ts'
import { resourceOf } from './resources.ts'

/** Where a resource speaks of a request label; `value` null = of every value. */
interface LabelUse {
  key: string
  value: string | null
  path: string[]
}

function labelUses(one: Resource): LabelUse[] {
  const bound = (labels: Record<string, string>, path: string[]) =>
    Object.entries(labels).map(([key, value]) => ({ key, value, path: [...path, key] }))
  if (one.kind === 'apiKey') return bound(one.spec.requestLabels, ['requestLabels'])
  if (one.kind === 'route')
    return one.spec.targets.flatMap(({ when }, index) =>
      bound(when?.requestLabels ?? {}, ['targets', String(index), 'when', 'requestLabels']),
    )
  if (!('scope' in one.spec)) return []
  const { scope } = one.spec
  const when = one.kind === 'policy' ? one.spec.when : null
  return [...scopeUse(scope), ...bound(when?.requestLabels ?? {}, ['when', 'requestLabels'])]
}

const scopeUse = (scope: string): LabelUse[] =>
  isLabelScope(scope) ? [{ ...parseLabelScope(scope), path: ['scope'] }] : []

/** A new or changed key, policy, route, budget, rate limit or alert rule speaks of declared labels only. `declared` are the tenant's, as they will be. */
export function checkLabelUse(declared: RequestLabel[], { after, path }: Draft, errors: UserError[]) {
  for (const use of labelUses(after)) {
    const fault = labelFault(declared, use.key, use.value)
    if (fault) errors.push(invalidInput([...path, ...use.path], fault, 'a label of Tenant.requestLabels'))
  }
}

/** Labels that keys bind, and that policies, routes and budgets name, are declared, also those of what this write leaves alone. */
export async function checkLabels(tx: Tx, tenant: string, lookup: Lookup, drafts: Draft[], errors: UserError[]) {
  const declared = (lookup.find(tenant) as Resource<'tenant'>).spec.requestLabels
  for (const draft of drafts) if (!draft.after.archivedAt) checkLabelUse(declared, draft, errors)
  const own = drafts.find(({ after }) => after.id === tenant)
  if (own?.before?.kind !== 'tenant') return
  const narrowed = own.before.spec.requestLabels.filter((label) => isNarrower(label, declared)).map(({ key }) => key)
  if (narrowed.length === 0) return
  const written = new Set(drafts.map(({ after }) => after.id))
  const holders = (await speakingOf(tx, tenant, narrowed)).filter(({ id }) => !written.has(id))
  for (const key of narrowed) {
    const faulty = (use: LabelUse) => use.key === key && labelFault(declared, key, use.value)
    const by = holders.filter((one) => labelUses(one).some(faulty))
    if (by.length > 0) errors.push(stillReferenced([...own.path, 'requestLabels'], `label/${key}`, by))
  }
}

/** True where the label is gone, or its values are others than before. */
function isNarrower(label: RequestLabel, declared: RequestLabel[]): boolean {
  const kept = declared.find(({ key }) => key === label.key)
  return !kept || (kept.values !== null && !isDeepStrictEqual(kept.values, label.values))
}

const holdersMax = 1_000
/** Kinds whose specs may name a label. */
const labelled = ['policy', 'route', 'budget', 'rateLimit', 'alertRule']

async function speakingOf(tx: Tx, tenant: string, keys: string[]): Promise<Resource[]> {
  const binds = keys.map((key) => sql`${resource.spec} -> 'requestLabels' -> ${key} is not null`)
  const rows = await tx
    .select()
    .from(resource)
    .where(
      and(
        eq(resource.tenant, tenant),
        isNull(resource.archivedAt),
        or(inArray(resource.kind, labelled), and(eq(resource.kind, 'apiKey'), or(...binds))),
      ),
    )
    .limit(holdersMax)
  return rows.map(resourceOf)
}
