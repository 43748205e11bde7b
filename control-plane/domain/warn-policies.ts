import type { Resource } from '../../schema/config/index.ts'
import type { Tx } from '../db/database.ts'
import type { Draft, PlanWarning } from './plan.ts'
import { liveResources } from './resources.ts'

/** What a policy may say but probably does not mean. Reads the state after the change. */
export async function policyWarnings(tx: Tx, tenant: string, changed: Draft[]): Promise<PlanWarning[]> {
  const policies = changed.flatMap(({ after, path }) => (after.kind === 'policy' ? [{ policy: after, path }] : []))
  if (policies.length === 0) return []
  const all = await liveResources(tx, tenant, ['provider', 'model', 'tier'])
  return policies.flatMap(({ policy, path }) =>
    [...overlaps(policy, all), ...emptyTiers(policy, all), ...unknownRegions(policy, all)].map((warning) => ({
      ...warning,
      path: [...path, ...warning.path],
    })),
  )
}

const nameIn = (all: Resource[], id: string) => all.find((one) => one.id === id)?.name ?? id

function overlaps({ spec: { spec } }: Resource<'policy'>, all: Resource[]): PlanWarning[] {
  const { allowModels, denyModels } = spec.routing ?? { allowModels: null, denyModels: [] }
  return denyModels.flatMap((id, index) => {
    if (!allowModels?.includes(id)) return []
    const message = `model/${nameIn(all, id)} is allowed and denied here; what is denied stays denied`
    return [{ path: ['spec', 'routing', 'denyModels', String(index)], message }]
  })
}

function emptyTiers({ spec: { spec } }: Resource<'policy'>, all: Resource[]): PlanWarning[] {
  return (spec.routing?.allowTiers ?? []).flatMap((id, index) => {
    if (all.some((one) => one.kind === 'model' && one.spec.tier === id)) return []
    const message = `tier/${nameIn(all, id)} holds no model, so that nothing of it is allowed`
    return [{ path: ['spec', 'routing', 'allowTiers', String(index)], message }]
  })
}

function unknownRegions({ spec: { spec, when } }: Resource<'policy'>, all: Resource[]): PlanWarning[] {
  const known = new Set(all.flatMap((one) => ('region' in one.spec && one.spec.region ? [one.spec.region] : [])))
  const named = [
    ...(spec.routing?.regions ?? []).map((region, index) => ({ region, path: ['spec', 'routing', 'regions', index] })),
    ...(when?.region ?? []).map((region, index) => ({ region, path: ['when', 'region', index] })),
  ]
  return named
    .filter(({ region }) => !known.has(region))
    .map(({ region, path }) => ({ path: path.map(String), message: `no provider and no model is in region ${region}` }))
}
