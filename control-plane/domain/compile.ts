import type { Resource } from '../../schema/config/index.ts'
import { routeDefaults } from '../../schema/config/index.ts'
import { parseDuration } from '../../schema/duration.ts'
import { parseAmount, unitPrice } from '../../schema/money.ts'
import type { Grant, SnapshotConfig, SnapshotPriceSheet, SnapshotRoute } from '../../schema/snapshot.ts'
import { compilePolicies, compileWhen } from './compile-policies.ts'

type Of<K extends Resource['kind']> = Resource<K>

/**
 * One revision, made ready for running: references become positions, durations milliseconds, prices unit prices. Pure, and the
 * same for the same input: lists are in the order of ids, so that equal configurations have equal digests. `versions` says how
 * often each stored credential's secret was set; `grants` are those of the keys, which are compiled apart; `isBroken` tells models
 * whose bounds did not hold.
 */
export function compile(
  revision: number,
  resources: Resource[],
  grants: Grant[],
  versions: ReadonlyMap<string, number>,
  isBroken: (model: Pick<Resource, 'id' | 'revision'>) => boolean = () => false,
): SnapshotConfig {
  const all = [...resources].sort((a, b) => (a.id < b.id ? -1 : 1))
  const of = <K extends Resource['kind']>(kind: K) => all.filter((one): one is Of<K> & Resource => one.kind === kind)
  const [tenant] = of('tenant')
  if (!tenant) throw new Error('a snapshot needs its tenant')
  const [providers, credentials, models] = [of('provider'), of('credential'), of('model')]
  const position = positions([...providers], [...credentials], [...models])
  const { routes, aliases } = compileRoutes(of('route'), of('alias'), position)
  return {
    schemaVersion: 1,
    tenant: {
      id: tenant.id,
      name: tenant.name,
      currency: tenant.spec.currency,
      maxStalenessMs: ms(tenant.spec.maxStaleness),
    },
    revision,
    grants,
    aliases,
    routes,
    models: models.map(({ id, name, revision: since, spec }) => ({
      ...{ id, name, provider: position(spec.provider) },
      ...{ upstreamName: spec.upstreamName, region: spec.region, contextTokens: spec.contextTokens },
      ...{ maxOutputTokens: spec.maxOutputTokens, defaultOutputTokens: spec.defaultOutputTokens, bounds: spec.bounds },
      reasoning: spec.capabilities.includes('REASONING'),
      boundsBroken: isBroken({ id, revision: since }),
    })),
    providers: providers.map(({ id, name, spec }) => ({ id, name, ...spec })),
    credentials: credentials.map(({ id, spec }) => ({
      ...{ id, ...spec },
      provider: position(spec.provider),
      version: versions.get(id) ?? 0,
    })),
    priceSheets: compilePrices(of('priceSheet'), position),
    ...compilePolicies(all),
  }
}

type Position = (id: string) => number

function positions(...lists: Resource[][]): Position {
  const at = new Map(lists.flatMap((list) => list.map(({ id }, index): [string, number] => [id, index])))
  return (id) => {
    const index = at.get(id)
    if (index === undefined) throw new Error(`${id} is named but not there`)
    return index
  }
}

const ms = (duration: string) => parseDuration(duration)!

/** What a key may do. Also sent with key deltas, since a new key may hold a grant that no snapshot has yet. */
export function grantOf({ spec }: Pick<Of<'apiKey'>, 'spec'>, project: Of<'project'> | undefined): Grant {
  return {
    team: project?.spec.team ?? null,
    project: spec.project,
    principal: spec.principal,
    aliases: spec.aliases,
    requestLabels: spec.requestLabels,
    allowedAddresses: spec.allowedAddresses,
  }
}

/** An alias that names a model gets a route of its own, with what a route has where it says nothing. */
function compileRoutes(routes: Of<'route'>[], aliases: Of<'alias'>[], position: Position) {
  const compiled = routes.map(
    ({ id, spec }): SnapshotRoute => ({
      ...{ id, strategy: spec.strategy, ...limits(spec), stickyHeader: spec.stickyHeader ?? null },
      targets: spec.targets.map(({ model, credential, weight, when }) => ({
        ...{ model: position(model), credential: credential === null ? null : position(credential), weight },
        when: when && compileWhen(when, position),
      })),
    }),
  )
  const routeAt = new Map(routes.map(({ id }, index) => [id, index]))
  const nameOf = new Map(aliases.map(({ id, name }) => [id, name]))
  const own = (model: string): number => {
    const route = {
      id: null,
      strategy: 'PRIORITY' as const,
      ...limits(routeDefaults),
      stickyHeader: null,
      targets: [{ model: position(model), credential: null, weight: 1, when: null }],
    }
    return compiled.push(route) - 1
  }
  const named = aliases.map(({ id, name, spec }) => ({
    ...{ id, name, allowLossy: spec.allowLossy },
    route: spec.route ? routeAt.get(spec.route)! : own(spec.model!),
    deprecation: spec.deprecation && {
      sinceMs: Date.parse(spec.deprecation.since),
      removeAfterMs: spec.deprecation.removeAfter ? Date.parse(spec.deprecation.removeAfter) : null,
      use: spec.deprecation.use ? (nameOf.get(spec.deprecation.use) ?? null) : null,
    },
  }))
  return { routes: compiled, aliases: named }
}

function limits({ retry, timeouts, breaker }: Pick<Of<'route'>['spec'], 'retry' | 'timeouts' | 'breaker'>) {
  return {
    retry: { attempts: retry.attempts, on: retry.on, backoffMs: ms(retry.backoff) },
    timeouts: { firstByteMs: ms(timeouts.firstByte), idleMs: ms(timeouts.idle), totalMs: ms(timeouts.total) },
    breaker: { failures: breaker.failures, windowMs: ms(breaker.window), coolDownMs: ms(breaker.coolDown) },
  }
}

function compilePrices(sheets: Of<'priceSheet'>[], position: Position): SnapshotPriceSheet[] {
  const latestFirst = [...sheets].sort(
    (a, b) => Date.parse(b.spec.effectiveFrom) - Date.parse(a.spec.effectiveFrom) || (a.id < b.id ? 1 : -1),
  )
  return latestFirst.map(({ id, spec }) => {
    const rate = parseAmount(spec.exchangeRate ?? '1')!
    const ceiling = spec.unpricedCeiling && unitPrice(parseAmount(spec.unpricedCeiling.amount)!, 1, rate)
    return {
      id,
      effectiveFromMs: Date.parse(spec.effectiveFrom),
      unpricedCeiling: ceiling === null || ceiling === undefined ? null : String(ceiling),
      lines: spec.lines.map(({ model, meter, amount, per, aboveInputTokens, serviceTier }) => ({
        ...{ model: position(model), meter, aboveInputTokens, serviceTier },
        unitPrice: String(unitPrice(parseAmount(amount)!, per, rate)!),
      })),
    }
  })
}
