import { describe, expect, it } from 'vitest'
import { mintId } from '../../schema/ids.ts'
import { hashKey, type KeyRow, mintKey, packKeys } from '../../schema/key-table.ts'
import type { KeyDelta, SnapshotConfig } from '../../schema/snapshot.ts'
import { buildRunning, type VerifiedParts } from './build.ts'
import { isUnpriced, ratesFor } from './rates.ts'
import type { RunningSet, RunningSnapshot } from './running.ts'
import { Freshness, KeyOverlay, type OverlayDirectory, runningSet, runningTenant } from './running-set.ts'

const grant = {
  team: null,
  project: 'prj_1',
  principal: 'prn_1',
  aliases: ['als_1'],
  requestLabels: {},
  allowedAddresses: [],
}
const defaults = {
  stickyHeader: null,
  retry: { attempts: 2, on: [], backoffMs: 200 },
  timeouts: { firstByteMs: 1, idleMs: 1, totalMs: 1 },
  breaker: { failures: 1, windowMs: 1, coolDownMs: 1 },
}
const provider = {
  id: 'prv_1',
  name: 'openai',
  platform: 'OPENAI' as const,
  codecs: ['OPENAI_CHAT' as const],
  baseUrl: 'https://example.test/v1',
  region: null,
  apiVersion: null,
  selfHosted: false,
  headers: {},
  forwardHeaders: [],
  proxy: null,
  caBundle: null,
}
const model = (id: string, upstreamName: string, at = 0) => ({
  id,
  name: id,
  provider: at,
  upstreamName,
  region: null,
  contextTokens: null,
  maxOutputTokens: null,
  defaultOutputTokens: null,
  reasoning: false,
  bounds: {
    tokensPerMessage: 16,
    tokensPerTool: 64,
    tokensPerImage: null,
    tokensPerPage: null,
    tokensPerAudioSecond: null,
  },
})
const alias = (id: string, name: string) => ({ id, name, route: 0, allowLossy: false, deprecation: null })
const line = (meter: 'INPUT_TOKENS' | 'OUTPUT_TOKENS', unitPrice: string, more: object = {}) => ({
  model: 0,
  meter,
  unitPrice,
  aboveInputTokens: null,
  serviceTier: null,
  ...more,
})
const config: SnapshotConfig = {
  schemaVersion: 1,
  tenant: { id: 'ten_1', name: 'acme', currency: 'USD', maxStalenessMs: 1_000 },
  revision: 7,
  grants: [grant],
  aliases: [alias('als_1', 'gpt-5'), alias('als_2', 'gpt-*'), alias('als_3', 'gpt-5-*'), alias('als_4', '*')],
  routes: [
    {
      id: null,
      strategy: 'PRIORITY',
      targets: [
        { model: 0, credential: 0, weight: 1, when: null },
        { model: 1, credential: null, weight: 1, when: null },
      ],
      ...defaults,
    },
  ],
  models: [model('mdl_1', 'gpt-5'), model('mdl_2', 'gpt-*'), model('mdl_3', 'llama', 1)],
  providers: [provider, { ...provider, id: 'prv_2', name: 'own', selfHosted: true }],
  credentials: [{ id: 'crd_1', provider: 0, kind: 'API_KEY', source: 'STORED', locator: null, version: 1 }],
  priceSheets: [],
  tiers: [],
  requestLabels: [],
  policies: [],
  budgets: [],
  rateLimits: [],
}
const partsOf = (change: Partial<SnapshotConfig> = {}, shards: VerifiedParts['shards'] = new Map()): VerifiedParts => ({
  tenant: 'ten_1',
  revision: 7,
  deltaNumber: 3,
  sequence: 5,
  configDigest: 'a'.repeat(64),
  config: Buffer.from(JSON.stringify({ ...config, ...change })),
  shards,
})
const build = (change: Partial<SnapshotConfig> = {}, shards?: VerifiedParts['shards']): RunningSnapshot => {
  const built = buildRunning(partsOf(change, shards))
  if ('unreadable' in built) throw new Error(built.unreadable)
  return built
}
const rowOf = (key: string, change: Partial<KeyRow> = {}): KeyRow => ({
  hash: hashKey(key),
  apiKey: mintId('apiKey'),
  grant: 0,
  revoked: false,
  expiresAtMs: null,
  ...change,
})
const deltaOf = (number: number, key: string, change: Partial<KeyDelta> = {}): KeyDelta => ({
  number,
  hash: hashKey(key).toString('hex'),
  apiKey: 'key_delta',
  revoked: false,
  expiresAtMs: null,
  grant,
  ...change,
})

describe('a running snapshot', () => {
  it('resolves every position to its object', () => {
    const { aliases, models, providers, credentials } = build()
    const [first, second] = aliases[0]!.route.targets
    expect(first!.model).toBe(models[0])
    expect(first!.model.provider).toBe(providers[0])
    expect(first!.credentials).toEqual([credentials[0]])
    expect(second!.credentials).toEqual([credentials[0]])
    expect(credentials[0]!.tenant).toBe('ten_1')
    expect(models[1]!.upstreamPrefix).toBe('gpt-')
    expect(models[0]!.upstreamPrefix).toBeNull()
  })

  it('cannot be changed, however deep', () => {
    const snapshot = build()
    const unfrozen: string[] = []
    const visit = (value: unknown, path: string) => {
      if (typeof value !== 'object' || value === null || value instanceof Map || value instanceof Set) return
      if (!Object.isFrozen(value)) unfrozen.push(path)
      for (const [name, inner] of Object.entries(value)) visit(inner, `${path}.${name}`)
    }
    visit(snapshot, '')
    expect(unfrozen).toEqual([])
  })

  it('finds an alias by its exact name, else by the longest prefix', () => {
    const snapshot = build()
    const found = (name: string) => snapshot.findAlias(name)?.id
    expect(found('gpt-5')).toBe('als_1')
    expect(found('gpt-5-mini')).toBe('als_3')
    expect(found('gpt-4o')).toBe('als_2')
    expect(found('gpt-')).toBe('als_2')
    expect(found('claude')).toBe('als_4')
    expect(found('')).toBe('als_4')
    expect(build({ aliases: [alias('als_1', 'gpt-5')] }).findAlias('gpt-5-mini')).toBeUndefined()
    expect(build({ aliases: [alias('als_1', 'gpt-5')] }).findAlias('constructor')).toBeUndefined()
  })

  it('is not made from a configuration that points nowhere, is of another form, tenant or revision', () => {
    const unreadable = (parts: VerifiedParts) => 'unreadable' in buildRunning(parts)
    expect(unreadable(partsOf())).toBe(false)
    expect(unreadable(partsOf({ aliases: [{ ...alias('als_1', 'x'), route: 1 }] }))).toBe(true)
    expect(unreadable(partsOf({ models: [model('mdl_1', 'x', 9)] }))).toBe(true)
    expect(unreadable(partsOf({ models: [model('mdl_1', 'x', -1)] }))).toBe(true)
    expect(unreadable(partsOf({ credentials: [{ ...config.credentials[0]!, provider: 2 }] }))).toBe(true)
    expect(
      unreadable(
        partsOf({
          routes: [{ ...config.routes[0]!, targets: [{ model: 7, credential: null, weight: 1, when: null }] }],
        }),
      ),
    ).toBe(true)
    expect(unreadable(partsOf({ schemaVersion: 2 as 1 }))).toBe(true)
    expect(unreadable(partsOf({ revision: 8 }))).toBe(true)
    expect(unreadable(partsOf({ aliases: undefined }))).toBe(true)
    expect(unreadable({ ...partsOf(), tenant: 'ten_2' })).toBe(true)
    for (const text of ['', 'null', '[]', '{', '7'])
      expect(unreadable({ ...partsOf(), config: Buffer.from(text) }), text).toBe(true)
  })
})

describe('rates', () => {
  const sheet = (
    id: string,
    effectiveFromMs: number,
    lines: SnapshotConfig['priceSheets'][number]['lines'],
    unpricedCeiling: string | null = null,
  ) => ({ id, effectiveFromMs, unpricedCeiling, lines })
  const ratesOf = (sheets: SnapshotConfig['priceSheets'], at: number, index = 0) =>
    ratesFor(build({ priceSheets: sheets }).models[index]!, at)

  it('are those of the latest sheet in effect that names the model, whole', () => {
    const sheets = [
      sheet('prs_old', 0, [line('INPUT_TOKENS', '100'), line('OUTPUT_TOKENS', '400')]),
      sheet('prs_new', 1_000, [line('INPUT_TOKENS', '50')]),
      sheet('prs_other', 1_500, [line('INPUT_TOKENS', '1', { model: 1 })]),
    ]
    const before = ratesOf(sheets, 999)
    const after = ratesOf(sheets, 2_000)
    if (isUnpriced(before) || isUnpriced(after)) throw new Error('unpriced')
    expect([before.sheet, before.standard.rates.get('OUTPUT_TOKENS')]).toEqual(['prs_old', 400n])
    expect([after.sheet, after.standard.rates.get('INPUT_TOKENS')]).toEqual(['prs_new', 50n])
    expect(after.standard.rates.get('OUTPUT_TOKENS')).toBeUndefined()
  })

  it('have whole tables for long contexts and service tiers', () => {
    const card = ratesOf(
      [
        sheet('prs_1', 0, [
          line('INPUT_TOKENS', '10'),
          line('OUTPUT_TOKENS', '40'),
          line('INPUT_TOKENS', '20', { aboveInputTokens: 200_000 }),
          line('INPUT_TOKENS', '30', { aboveInputTokens: 500_000 }),
          line('OUTPUT_TOKENS', '80', { aboveInputTokens: 200_000 }),
          line('INPUT_TOKENS', '5', { serviceTier: 'Flex' }),
        ]),
      ],
      0,
    )
    if (isUnpriced(card)) throw new Error('unpriced')
    expect(card.standard.steps.map(({ aboveInputTokens, rates }) => [aboveInputTokens, ...rates.values()])).toEqual([
      [500_000, 30n, 80n],
      [200_000, 20n, 80n],
    ])
    expect([...card.standard.rates.values()]).toEqual([10n, 40n])
    const flex = card.tiers.get('flex')!
    expect([flex.rates.get('INPUT_TOKENS'), flex.rates.get('OUTPUT_TOKENS')]).toEqual([5n, 40n])
  })

  it('are missing for a model without a line: the ceiling in effect, or none', () => {
    const sheets = [sheet('prs_1', 0, [], '7'), sheet('prs_2', 1_000, [], '9'), sheet('prs_3', 2_000, [])]
    expect(ratesOf(sheets, 500)).toEqual({ unpriced: true, ceiling: 7n })
    expect(ratesOf(sheets, 5_000)).toEqual({ unpriced: true, ceiling: 9n })
    expect(ratesOf([], 0)).toEqual({ unpriced: true, ceiling: null })
    expect(ratesOf([sheet('prs_1', 100, [line('INPUT_TOKENS', '1')])], 99)).toEqual({ unpriced: true, ceiling: null })
  })

  it('are zero for a self-hosted model without a sheet, and those of its sheet where there is one', () => {
    const free = ratesOf([], 0, 2)
    if (isUnpriced(free)) throw new Error('unpriced')
    expect([free.sheet, free.standard.rates.size]).toEqual([null, 0])
    const priced = ratesOf([sheet('prs_1', 0, [line('INPUT_TOKENS', '3', { model: 2 })])], 0, 2)
    expect(isUnpriced(priced) ? null : priced.sheet).toBe('prs_1')
  })

  it('are refused as a configuration where a price is not a whole number', () => {
    for (const unitPrice of ['-1', '1.5', '1e3', ''])
      expect(
        'unreadable' in buildRunning(partsOf({ priceSheets: [sheet('prs_1', 0, [line('INPUT_TOKENS', unitPrice)])] })),
      ).toBe(true)
  })
})

describe('keys', () => {
  const known = mintKey('slk')
  const monotonic = () => 0
  const make = (rows: KeyRow[], overlay = new KeyOverlay()) => {
    const snapshot = build({}, packKeys(rows))
    overlay.absorb(snapshot.deltaNumber)
    return {
      overlay,
      set: runningSet([{ tenant: runningTenant(snapshot, overlay, new Freshness(0, monotonic)), overlay }]),
    }
  }

  it('are found by hash with their grant, revoked and expired ones too', () => {
    const revoked = mintKey('slk')
    const { set } = make([rowOf(known, { expiresAtMs: 99 }), rowOf(revoked, { revoked: true })])
    expect(set.lookupKey(hashKey(known))).toMatchObject({
      expiresAtMs: 99,
      revoked: false,
      grant: { project: 'prj_1' },
    })
    expect(set.lookupKey(hashKey(known))?.grant.aliases?.has('als_1')).toBe(true)
    expect(set.lookupKey(hashKey(revoked))?.revoked).toBe(true)
    expect(set.lookupKey(hashKey(mintKey('slk')))).toBeUndefined()
  })

  it('whose grant is missing are not keys', () => {
    expect(make([rowOf(known, { grant: 5 })]).set.lookupKey(hashKey(known))).toBeUndefined()
  })

  it('are revoked and issued by deltas at once, in a set that is in use', () => {
    const { overlay, set } = make([rowOf(known)])
    const issued = mintKey('slk')
    overlay.apply(deltaOf(4, known, { revoked: true }))
    overlay.apply(deltaOf(5, issued))
    expect(set.lookupKey(hashKey(known))?.revoked).toBe(true)
    expect(set.lookupKey(hashKey(issued))?.apiKey).toBe('key_delta')
    expect(set.tenants.get('ten_1')?.deltaNumber).toBe(5)
  })

  it('keep the newest of their deltas, in whatever order those come, and count only without gaps', () => {
    const overlay = new KeyOverlay()
    overlay.absorb(3)
    overlay.apply(deltaOf(6, known, { revoked: true }))
    overlay.apply(deltaOf(5, known))
    expect([overlay.find(hashKey(known))?.revoked, overlay.number]).toEqual([true, 3])
    overlay.apply(deltaOf(4, mintKey('slk')))
    expect(overlay.number).toBe(6)
    overlay.apply(deltaOf(2, known))
    expect(overlay.find(hashKey(known))?.revoked).toBe(true)
  })

  it('are forgotten as deltas once a snapshot holds them, and only those it holds', () => {
    const overlay = new KeyOverlay()
    for (const number of [1, 2, 3, 4]) overlay.apply(deltaOf(number, `slk_${number}`))
    overlay.absorb(3)
    expect([overlay.size, overlay.number]).toEqual([1, 4])
    overlay.absorb(9)
    expect([overlay.size, overlay.number]).toEqual([0, 9])
  })

  it('survive a restart as deltas', () => {
    const overlay = new KeyOverlay()
    overlay.absorb(3)
    for (const number of [4, 5, 6]) overlay.apply(deltaOf(number, known, { revoked: number === 6 }))
    const again = new KeyOverlay()
    again.absorb(3)
    again.restore(overlay.deltas(), overlay.number)
    expect([again.find(hashKey(known))?.revoked, again.number]).toEqual([true, 6])
  })

  it('are found among 100,000 in a few microseconds, and 100,000 are swapped in without being read', () => {
    const keys = Array.from({ length: 100_000 }, () => mintKey('slk'))
    const shards = packKeys(keys.map((key) => rowOf(key)))
    const beganMs = performance.now()
    const snapshot = build({}, shards)
    const overlay = new KeyOverlay()
    const set = runningSet([{ tenant: runningTenant(snapshot, overlay, new Freshness(0, monotonic)), overlay }])
    const swapMs = performance.now() - beganMs
    const hashes = keys.map((key) => hashKey(key))
    const lookupsBeganMs = performance.now()
    let found = 0
    for (const hash of hashes) if (set.lookupKey(hash)?.grant) found += 1
    const eachUs = ((performance.now() - lookupsBeganMs) * 1_000) / hashes.length
    console.log(`100,000 keys: swapped in ${swapMs.toFixed(1)} ms, looked up in ${eachUs.toFixed(2)} µs each`)
    expect(found).toBe(100_000)
    // Generous bounds for a busy machine; a table read as objects takes some 200 ms to swap.
    expect(swapMs).toBeLessThan(1_000)
    expect(eachUs).toBeLessThan(500)
  })
})

describe('several tenants', () => {
  it('each answer for their own keys', () => {
    const [mine, theirs] = [mintKey('slk'), mintKey('slk')]
    const member = (tenant: string, key: string) => {
      const parts = { ...partsOf({ tenant: { ...config.tenant, id: tenant } }, packKeys([rowOf(key)])), tenant }
      const overlay = new KeyOverlay()
      return {
        tenant: runningTenant(buildRunning(parts) as RunningSnapshot, overlay, new Freshness(0, () => 0)),
        overlay,
      }
    }
    const set = runningSet([member('ten_1', mine), member('ten_2', theirs)])
    expect(set.lookupKey(hashKey(mine))?.snapshot.tenant.id).toBe('ten_1')
    expect(set.lookupKey(hashKey(theirs))?.snapshot.tenant.id).toBe('ten_2')
  })

  const memberOf = (tenant: string, keys: string[], revision: number, overlays: OverlayDirectory) => {
    const parts = partsOf({ tenant: { ...config.tenant, id: tenant } }, packKeys(keys.map((key) => rowOf(key))))
    const running = buildRunning({ ...parts, tenant, deltaNumber: revision }) as RunningSnapshot
    const overlay = new KeyOverlay(overlays)
    return { tenant: runningTenant(running, overlay, new Freshness(0, () => 0)), overlay }
  }

  it('change one by one: what a newer snapshot dropped is gone, what others hold stays, deltas hold over all', () => {
    const overlays: OverlayDirectory = new Map()
    const [stays, goes, comes, other] = [mintKey('slk'), mintKey('slk'), mintKey('slk'), mintKey('slk')]
    const theirs = memberOf('ten_2', [other], 1, overlays)
    const before = runningSet([memberOf('ten_1', [stays, goes], 1, overlays), theirs])
    const set = runningSet([memberOf('ten_1', [stays, comes], 2, overlays), theirs], before)
    const holder = (of: RunningSet, key: string) => of.lookupKey(hashKey(key))?.snapshot.tenant.id
    expect([stays, goes, comes, other].map((key) => holder(set, key))).toEqual(['ten_1', undefined, 'ten_1', 'ten_2'])
    expect([stays, goes, comes, other].map((key) => holder(before, key))).toEqual([
      'ten_1',
      'ten_1',
      undefined,
      'ten_2',
    ])
    theirs.overlay.apply(deltaOf(9, other, { revoked: true }))
    expect(set.lookupKey(hashKey(other))).toMatchObject({ revoked: true, tenant: theirs.tenant })
    const alone = runningSet([theirs], set)
    expect([holder(alone, stays), holder(alone, other)]).toEqual([undefined, 'ten_2'])
  })

  it('cost a lookup no more when there are a thousand of them', () => {
    const overlays: OverlayDirectory = new Map()
    const each = (count: number) => {
      const keys = Array.from({ length: count }, () => Array.from({ length: 20 }, () => mintKey('slk')))
      const members = keys.map((own, at) => memberOf(`ten_${at}`, own, 1, overlays))
      let set = runningSet(members)
      const swappedMs = performance.now()
      set = runningSet([memberOf('ten_0', [...keys[0]!, mintKey('slk')], 2, overlays), ...members.slice(1)], set)
      const swapMs = performance.now() - swappedMs
      const hashes = keys.flat().map((key) => hashKey(key))
      const beganMs = performance.now()
      for (let round = 0; round < 10_000 / count; round++)
        for (let at = 0; at < count; at++) if (!set.lookupKey(hashes[at * 20]!)) throw new Error('a key was not found')
      return { eachUs: (performance.now() - beganMs) / 10, swapMs }
    }
    each(1)
    const [one, thousand] = [each(1), each(1_000)]
    console.log(
      `a lookup among 1 tenant ${one.eachUs.toFixed(2)} µs, 1,000 ${thousand.eachUs.toFixed(2)} µs; ` +
        `one of 1,000 swapped in ${thousand.swapMs.toFixed(1)} ms`,
    )
    expect(thousand.eachUs).toBeLessThan(500)
    expect(thousand.swapMs).toBeLessThan(1_000)
  })
})

describe('the age of a snapshot', () => {
  it('grows from the last confirmation and expires beyond maxStaleness', () => {
    const freshness = new Freshness(1_000, () => 0)
    const tenant = runningTenant(build(), new KeyOverlay(), freshness)
    expect([tenant.ageMs(1_500), tenant.isExpired(2_000), tenant.isExpired(2_001)]).toEqual([500, false, true])
    freshness.heard(2_500)
    expect([tenant.ageMs(2_600), tenant.isExpired(2_600)]).toEqual([100, false])
  })

  it('is not lowered by a clock that is set back', () => {
    let monotonicMs = 0
    const freshness = new Freshness(1_000, () => monotonicMs)
    expect(freshness.ageMs(5_000)).toBe(4_000)
    expect(freshness.ageMs(0)).toBe(4_000)
    monotonicMs = 9_000
    expect(freshness.ageMs(0)).toBe(9_000)
  })
})
