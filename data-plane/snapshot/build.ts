import type { RouteStrategy } from '../../schema/config/index.ts'
import { findKey } from '../../schema/key-table.ts'
import type { Grant, SnapshotConfig } from '../../schema/snapshot.ts'
import { budgetBook, findBudgetFault } from '../budgets/book.ts'
import { type RunningLabels, runningLabels } from '../labels/declared.ts'
import { findLimitFault, limitBook } from '../limits/book.ts'
import { conditionStrays, findPolicyFault, policyBook } from '../policies/book.ts'
import { type Places, runningCondition } from '../policies/condition.ts'
import { indexAliases } from './aliases.ts'
import { ceilingHistory, rateHistories } from './rates.ts'
import type {
  RunningAlias,
  RunningCredential,
  RunningGrant,
  RunningModel,
  RunningProvider,
  RunningRoute,
  RunningSnapshot,
} from './running.ts'

/** A snapshot's parts, already verified, and what the envelope said of them. */
export interface VerifiedParts {
  tenant: string
  revision: number
  deltaNumber: number
  sequence: number
  configDigest: string
  config: Uint8Array
  /** Key tables by first byte of the hash, each verified to be one. */
  shards: ReadonlyMap<number, Uint8Array>
  /** Makes pseudonyms of persons; absent where no label asks for it. */
  pseudonymKey?: Uint8Array
}

/** A snapshot that cannot be run, and why; the one before it stays. */
export interface Unreadable {
  unreadable: string
}

/** Makes the running form of a snapshot: everything that a request would otherwise have to look up, parse or compute. */
export function buildRunning(parts: VerifiedParts): RunningSnapshot | Unreadable {
  const config = readConfig(parts)
  if ('unreadable' in config) return config
  const fault = findFault(config)
  if (fault) return { unreadable: fault }
  const grants = config.grants.map(runningGrant)
  const requestLabels = runningLabels(config.requestLabels, parts.pseudonymKey)
  const resources = resolve(config, requestLabels)
  const places = placesOf(config, resources, requestLabels)
  const table = Array.from({ length: 256 }, (_, first) => parts.shards.get(first))
  return Object.freeze({
    tenant: Object.freeze(config.tenant),
    revision: config.revision,
    configDigest: parts.configDigest,
    sequence: parts.sequence,
    deltaNumber: parts.deltaNumber,
    ...resources,
    requestLabels,
    policies: policyBook(deepFreeze(config.policies), resources.aliases, places),
    budgets: budgetBook(deepFreeze(config.budgets), config.tiers, places),
    limits: limitBook(deepFreeze(config.rateLimits), places),
    budgetIds: new Set(config.budgets.map(({ id }) => id)),
    hasLimits: config.rateLimits.length > 0,
    findAlias: indexAliases(resources.aliases),
    keyShards: Object.freeze(table),
    findKey: (hash: Uint8Array) => {
      const shard = table[hash[0]!]
      const row = shard && findKey(shard, hash)
      const grant = row && grants[row.grant]
      return grant && { apiKey: row.apiKey, grant, revoked: row.revoked, expiresAtMs: row.expiresAtMs }
    },
  })
}

/** A grant ready for use; also those that key deltas bring. */
export function runningGrant(grant: Grant): RunningGrant {
  return Object.freeze({ ...deepFreeze(grant), aliases: grant.aliases && new Set(grant.aliases) })
}

function readConfig(parts: VerifiedParts): SnapshotConfig | Unreadable {
  let config: SnapshotConfig
  try {
    config = JSON.parse(Buffer.from(parts.config).toString('utf8'))
  } catch {
    return { unreadable: 'The configuration is not JSON.' }
  }
  if (config?.schemaVersion !== 1)
    return { unreadable: 'The configuration is of a form that this version does not know. Update the gateway.' }
  if (config.tenant?.id !== parts.tenant || config.revision !== parts.revision)
    return { unreadable: 'The configuration is of another tenant or revision than its envelope.' }
  return config
}

/** Positions that point nowhere. Checked once here, so that nothing after has to. */
function findFault(config: SnapshotConfig): string | undefined {
  const lists = [config.grants, config.aliases, config.routes, config.models, config.providers, config.credentials]
  if (
    ![...lists, config.priceSheets, config.tiers, config.requestLabels, config.policies, config.budgets].every(
      Array.isArray,
    ) ||
    !Array.isArray(config.rateLimits)
  )
    return 'The configuration lacks one of its lists.'
  const misses = (list: unknown[], index: number) => !Number.isInteger(index) || index < 0 || index >= list.length
  const { routes, models, providers, credentials } = config
  if (config.aliases.some(({ route }) => misses(routes, route))) return 'An alias names a route that is not there.'
  if (models.some(({ provider }) => misses(providers, provider))) return 'A model names a provider that is not there.'
  if (credentials.some(({ provider }) => misses(providers, provider)))
    return 'A credential names a provider that is not there.'
  for (const { targets, strategy } of routes) {
    if (!routeStrategies.has(strategy))
      return 'A route has a strategy that this version does not know. Update the gateway.'
    if (
      targets.some((to) => misses(models, to.model) || (to.credential !== null && misses(credentials, to.credential)))
    )
      return 'A route names a model or credential that is not there.'
    if (targets.some(({ when }) => conditionStrays(config, when)))
      return 'A route has a condition that names a place that is not there.'
  }
  for (const { lines } of config.priceSheets)
    if (lines.some(({ model, unitPrice }) => misses(models, model) || !/^\d{1,40}$/.test(unitPrice)))
      return 'A price names a model that is not there, or is not a number.'
  return findPolicyFault(config) ?? findBudgetFault(config) ?? findLimitFault(config)
}

const routeStrategies: ReadonlySet<string> = new Set<RouteStrategy>([
  ...(['PRIORITY', 'WEIGHTED', 'LEAST_COST', 'LEAST_LATENCY', 'BY_TASK'] as const),
])

const placesOf = (
  { tiers }: SnapshotConfig,
  { models, providers, credentials }: Pick<Places, 'models' | 'providers' | 'credentials'>,
  labels: RunningLabels,
): Places => ({
  models,
  providers,
  credentials,
  labels,
  tiers: tiers.map((tier) => new Set(tier.models.map((at) => models[at]!))),
})

function resolve(config: SnapshotConfig, labels: RunningLabels) {
  const providers: RunningProvider[] = config.providers.map((provider) =>
    Object.freeze({ ...deepFreeze(provider), codecs: new Set(provider.codecs) }),
  )
  const credentials: RunningCredential[] = config.credentials.map((credential) =>
    Object.freeze({ ...credential, provider: providers[credential.provider]!, tenant: config.tenant.id }),
  )
  const models = resolveModels(config, providers)
  const places = placesOf(config, { models, providers, credentials }, labels)
  const routes: RunningRoute[] = config.routes.map((route) =>
    deepFreeze({
      ...route,
      targets: route.targets.map(({ model, credential, weight, when }) => ({
        model: models[model]!,
        credentials: credential === null ? usable(credentials, models[model]!.provider) : [credentials[credential]!],
        weight,
        when: runningCondition(when ?? null, { kind: 'TENANT' }, places),
      })),
    }),
  )
  const aliases: RunningAlias[] = config.aliases.map((alias) =>
    deepFreeze({ ...alias, prefix: prefixOf(alias.name), route: routes[alias.route]! }),
  )
  return {
    providers: Object.freeze(providers),
    credentials: Object.freeze(credentials),
    models: Object.freeze(models),
    aliases: Object.freeze(aliases),
  }
}

/** A provider's credentials; those without a secret are left out while another has one. */
export function usable(credentials: readonly RunningCredential[], provider: RunningProvider): RunningCredential[] {
  const own = credentials.filter((credential) => credential.provider === provider)
  const set = own.filter(({ source, kind, version }) => source !== 'STORED' || kind === 'NONE' || version > 0)
  return set.length > 0 ? set : own
}

function resolveModels(config: SnapshotConfig, providers: readonly RunningProvider[]): RunningModel[] {
  const selfHosted = config.models.map(({ provider }) => providers[provider]!.selfHosted)
  const histories = rateHistories(config.priceSheets, selfHosted)
  const ceilings = Object.freeze(ceilingHistory(config.priceSheets))
  const tierAt = new Map(config.tiers.flatMap(({ id, models }) => models.map((at): [number, string] => [at, id])))
  return config.models.map((model, index) =>
    Object.freeze({
      ...deepFreeze(model),
      provider: providers[model.provider]!,
      tier: tierAt.get(index) ?? null,
      upstreamPrefix: prefixOf(model.upstreamName),
      rateHistory: Object.freeze(histories[index]!),
      ceilingHistory: ceilings,
    }),
  )
}

function prefixOf(name: string): string | null {
  return name.endsWith('*') ? name.slice(0, -1) : null
}

/** Freezes an object and what it holds; what is frozen already is passed over, so shared parts cost once. */
function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const inner of Object.values(value)) deepFreeze(inner)
  return value
}
