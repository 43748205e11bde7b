import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { openaiChat } from '../../data-plane/codecs/openai-chat/index.ts'
import { judge } from '../../data-plane/policies/judgement.ts'
import { buildRunning, runningGrant } from '../../data-plane/snapshot/build.ts'
import { isRefusal } from '../../schema/refusals.ts'
import type { SnapshotConfig, SnapshotPolicy, SnapshotRoutingPolicy } from '../../schema/snapshot.ts'
import { randomConfig, randomRequest } from './random-config.ts'

const apiKey = 'key_1'

/** The rules as DESIGN.md and schema/snapshot-policy.ts have them, said once more in the plainest way. */
class Plain {
  constructor(
    readonly config: SnapshotConfig,
    readonly body: { stream?: boolean; tools?: unknown[]; messages: { content: { type: string }[] }[] },
    readonly labels: Record<string, string>,
    readonly inputTokens: number,
    readonly aliasAt: number,
  ) {}

  permits(model: number): boolean {
    return this.config.policies.every((policy) => policy.mode === 'OBSERVE' || this.#lets(policy, model))
  }

  #lets(policy: SnapshotPolicy, model: number): boolean {
    const applies = this.#applies(policy, model)
    if (applies === 'no') return true
    if (policy.spec.kind !== 'ROUTING') return false
    if (applies === 'unknown') return policy.onFailure === 'OPEN'
    const checks: [keyof SnapshotRoutingPolicy, boolean][] = [
      ['allowAliases', policy.spec.allowAliases?.includes(this.aliasAt) ?? true],
      ['allowModels', policy.spec.allowModels?.includes(model) ?? true],
      ['allowTiers', policy.spec.allowTiers?.some((tier) => this.#inTier(tier, model)) ?? true],
      ['denyModels', !policy.spec.denyModels.includes(model)],
      ['regions', policy.spec.regions?.includes(this.#region(model) ?? '-') ?? true],
    ]
    return checks.every(([list, passes]) => passes || this.#isWeakened(policy, list, model))
  }

  #isWeakened(policy: SnapshotPolicy, list: keyof SnapshotRoutingPolicy, model: number): boolean {
    const rank = ({ scope }: SnapshotPolicy) => ['TEAM', 'PROJECT', 'PRINCIPAL', 'API_KEY'].indexOf(scope.kind)
    return this.config.policies.some((other) => {
      if (!policy.overridable || other.mode !== 'ENFORCE' || rank(other) <= rank(policy)) return false
      if (other.spec.kind !== 'ROUTING' || this.#applies(other, model) !== 'yes') return false
      const said = other.spec[list]
      return list === 'denyModels' ? other.spec.denyModels.length > 0 : said !== null
    })
  }

  #applies({ scope, when }: SnapshotPolicy, model: number): 'yes' | 'no' | 'unknown' {
    const grant = this.config.grants[0]!
    const provider = this.config.models[model]!.provider
    const ids: Record<string, string | null> = {
      ...{ TEAM: grant.team, PROJECT: grant.project, PRINCIPAL: grant.principal, API_KEY: apiKey },
    }
    if ('id' in scope && ids[scope.kind] !== scope.id) return 'no'
    if (scope.kind === 'LABEL' && this.labels[scope.key] === undefined) return 'no'
    if (scope.kind === 'LABEL' && scope.value !== null && this.labels[scope.key] !== scope.value) return 'no'
    if (scope.kind === 'PROVIDER' && scope.at !== provider) return 'no'
    if (scope.kind === 'MODEL' && scope.at !== model) return 'no'
    if (scope.kind === 'TIER' && !this.#inTier(scope.at, model)) return 'no'
    if (!when) return 'yes'
    const { selfHosted } = this.config.providers[provider]!
    const images = this.body.messages.some(({ content }) => content.some(({ type }) => type === 'image_url'))
    const facts: boolean[] = [
      Object.entries(when.requestLabels ?? {}).every(([key, value]) => this.labels[key] === value),
      when.providers?.includes(provider) ?? true,
      when.models?.includes(model) ?? true,
      when.tiers?.some((tier) => this.#inTier(tier, model)) ?? true,
      when.regions?.includes(this.#region(model) as string) ?? true,
      when.external === undefined || when.external === !selfHosted,
      when.dialect?.includes('OPENAI_CHAT') ?? true,
      when.streamed === undefined || when.streamed === (this.body.stream === true),
      when.tools === undefined || when.tools === (this.body.tools !== undefined),
      when.images === undefined || when.images === images,
      this.inputTokens >= (when.minInputTokens ?? 0),
      this.inputTokens <= (when.maxInputTokens ?? Number.POSITIVE_INFINITY),
    ]
    if (facts.includes(false)) return 'no'
    return 'task' in when ? 'unknown' : 'yes'
  }

  #region(model: number): string | null {
    const { region, provider } = this.config.models[model]!
    return region ?? this.config.providers[provider]!.region
  }

  #inTier(tier: number, model: number): boolean {
    return this.config.tiers[tier]!.models.includes(model)
  }
}

describe('routing policies', () => {
  it('permit exactly what the rules say, for every configuration and request', () => {
    const seen = { permitted: 0, excluded: 0 }
    const rule = fc.property(randomConfig, randomRequest, ({ ...config }, { body, labels }) => {
      const snapshot = buildRunning({
        ...{ tenant: 'ten_1', revision: config.revision, deltaNumber: 0, sequence: 1, configDigest: 'd' },
        config: Buffer.from(JSON.stringify(config)),
        shards: new Map(),
      })
      if ('unreadable' in snapshot) throw new Error(snapshot.unreadable)
      const request = openaiChat.admit(body, { operation: 'generate', query: '' })
      if (isRefusal(request)) return
      const grant = runningGrant(config.grants[0]!)
      const alias = snapshot.aliases[0]!
      const judgement = judge(
        { policies: snapshot.policies.standingFor({ grant, apiKey }), alias },
        labels,
        openaiChat,
        request,
      )
      const permitted = judgement?.permitted(alias.route.targets) ?? alias.route.targets
      const { inputTokens } = openaiChat.ceiling(request, snapshot.models[0]!)
      const plain = new Plain(config, JSON.parse(body), labels, inputTokens, 0)
      const expected = config.routes[0]!.targets.filter(({ model }) => plain.permits(model))
      seen.permitted += expected.length
      seen.excluded += alias.route.targets.length - expected.length
      expect(permitted.map(({ model }) => model.id)).toEqual(expected.map(({ model }) => `mdl_${model}`))
    })
    fc.assert(rule, { numRuns: 3_000 })
    expect(Math.min(seen.permitted, seen.excluded)).toBeGreaterThan(500)
  })
})
