import { addMeasures, type Dimensions, type Measures, noMeasures } from './measures.ts'

export const spendDimensions = [
  'TEAM',
  'PROJECT',
  'PRINCIPAL',
  'API_KEY',
  'PROVIDER',
  'MODEL',
  'ALIAS',
  'TIER',
  'DATA_PLANE',
] as const
export type SpendDimension = (typeof spendDimensions)[number]

/** Where each dimension stands in a tuple, and in the tables. */
export const dimensionFields = {
  TEAM: { field: 'team', column: 'team' },
  PROJECT: { field: 'project', column: 'project' },
  PRINCIPAL: { field: 'principal', column: 'principal' },
  API_KEY: { field: 'apiKey', column: 'api_key' },
  PROVIDER: { field: 'provider', column: 'provider' },
  MODEL: { field: 'model', column: 'model' },
  ALIAS: { field: 'alias', column: 'alias' },
  TIER: { field: 'tier', column: 'tier' },
  DATA_PLANE: { field: 'dataPlane', column: 'data_plane' },
} as const satisfies Record<SpendDimension, { field: keyof Dimensions; column: string }>

/** Ids, all of them but `alias`, which holds names of declared aliases: resolve Refs before. */
export interface SpendFilter {
  team?: string[] | null
  project?: string[] | null
  principal?: string[] | null
  apiKey?: string[] | null
  provider?: string[] | null
  model?: string[] | null
  alias?: string[] | null
  tier?: string[] | null
  dataPlane?: string[] | null
  requestLabels?: Record<string, string> | null
}

export interface SpendKey {
  dimension: SpendDimension | 'LABEL'
  /** Of a LABEL: which. */
  label: string | null
  /** Id of the resource, the name of an alias or the label's value; '' = none, 'other' = the folded rest. */
  value: string
  /** Id of the resource behind it, where there is one. */
  resourceId: string | null
}

export interface SpendPoint extends Measures {
  at: Date
}

export interface SpendGroup {
  key: SpendKey[]
  points: SpendPoint[]
  total: bigint
}

export interface Grouping {
  groupBy?: SpendDimension[] | null
  groupByLabels?: string[] | null
}

/** The name of an alias by its id. */
export type AliasNames = ReadonlyMap<string, string>

/** One sum: the raw values of the keys asked for, dimensions first, then labels. */
export interface Sum {
  values: string[]
  atMs: number
  measures: Measures
}

/** Adds sums up to groups with their points in order of time; nothing asked for = one group without a key. */
export function groupsOf(sums: Iterable<Sum>, grouping: Grouping, names: AliasNames): SpendGroup[] {
  const groups = new Map<string, { values: string[]; points: Map<number, SpendPoint>; total: bigint }>()
  for (const { values, atMs, measures } of sums) {
    const name = JSON.stringify(values)
    let group = groups.get(name)
    if (!group) {
      group = { values, points: new Map(), total: 0n }
      groups.set(name, group)
    }
    addPoint(group.points, atMs, measures)
    group.total += measures.cost
  }
  return [...groups.values()].map(({ values, points, total }) => ({
    key: keyOf(values, grouping, names),
    points: [...points.values()].sort((a, b) => a.at.getTime() - b.at.getTime()),
    total,
  }))
}

function addPoint(points: Map<number, SpendPoint>, atMs: number, measures: Measures) {
  let point = points.get(atMs)
  if (!point) {
    point = { at: new Date(atMs), ...noMeasures() }
    points.set(atMs, point)
  }
  addMeasures(point, measures)
}

function keyOf(values: string[], { groupBy, groupByLabels }: Grouping, names: AliasNames): SpendKey[] {
  const dimensions = groupBy ?? []
  const labels = groupByLabels ?? []
  return values.map((value, index): SpendKey => {
    const dimension = dimensions[index]
    if (!dimension) return { dimension: 'LABEL', label: labels[index - dimensions.length]!, value, resourceId: null }
    const shown = dimension === 'ALIAS' ? (names.get(value) ?? value) : value
    return { dimension, label: null, value: shown, resourceId: value || null }
  })
}

/** The `top` largest groups, the rest in one group `other`: whatever is shown, it adds up to the same. */
export function foldRest(groups: SpendGroup[], top: number | null | undefined): SpendGroup[] {
  const name = (group: SpendGroup) => JSON.stringify(group.key.map(({ value }) => value))
  const requests = (group: SpendGroup) => group.points.reduce((sum, point) => sum + point.requests, 0)
  const ordered = [...groups].sort(
    (a, b) => compare(b.total, a.total) || requests(b) - requests(a) || (name(a) < name(b) ? -1 : 1),
  )
  if (top === null || top === undefined || ordered.length <= top) return ordered
  const rest = ordered.slice(top)
  const points = new Map<number, SpendPoint>()
  for (const group of rest) for (const point of group.points) addPoint(points, point.at.getTime(), point)
  const other: SpendGroup = {
    key: rest[0]!.key.map((key) => ({ ...key, value: 'other', resourceId: null })),
    points: [...points.values()].sort((a, b) => a.at.getTime() - b.at.getTime()),
    total: rest.reduce((sum, group) => sum + group.total, 0n),
  }
  return [...ordered.slice(0, top), other]
}

const compare = (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0)

/** The raw values that a tuple has under the keys asked for. */
export function valuesOf(dimensions: Dimensions, { groupBy, groupByLabels }: Grouping): string[] {
  return [
    ...(groupBy ?? []).map((dimension) => dimensions[dimensionFields[dimension].field]),
    ...(groupByLabels ?? []).map((label) => labelOf(dimensions, label)),
  ]
}

/** Asked of the tuple itself: every object has a `constructor`. */
const labelOf = ({ requestLabels }: Dimensions, label: string) =>
  Object.hasOwn(requestLabels, label) ? requestLabels[label]! : ''

/** The filter for a tuple that is in memory; the queries' conditions say the same. */
export function covers(filter: SpendFilter, dimensions: Dimensions, names: AliasNames): boolean {
  const { requestLabels, alias, ...listed } = filter
  if (requestLabels && Object.entries(requestLabels).some(([key, value]) => dimensions.requestLabels[key] !== value))
    return false
  if (alias && !alias.includes(names.get(dimensions.alias) ?? '')) return false
  return Object.values(dimensionFields).every(({ field }) => {
    const values = field === 'alias' ? undefined : listed[field]
    return !values || values.includes(dimensions[field])
  })
}
