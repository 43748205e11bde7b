import { idKind } from './ids.ts'

/** Every kind an administrator declares, with its word in handles and files and its name in GraphQL's ResourceKind. */
export const kinds = {
  tenant: { word: 'tenant', enum: 'TENANT', type: 'Tenant' },
  team: { word: 'team', enum: 'TEAM', type: 'Team' },
  project: { word: 'project', enum: 'PROJECT', type: 'Project' },
  principal: { word: 'principal', enum: 'PRINCIPAL', type: 'Principal' },
  apiKey: { word: 'api-key', enum: 'API_KEY', type: 'ApiKey' },
  provider: { word: 'provider', enum: 'PROVIDER', type: 'Provider' },
  credential: { word: 'credential', enum: 'CREDENTIAL', type: 'Credential' },
  model: { word: 'model', enum: 'MODEL', type: 'Model' },
  tier: { word: 'tier', enum: 'TIER', type: 'Tier' },
  alias: { word: 'alias', enum: 'ALIAS', type: 'Alias' },
  route: { word: 'route', enum: 'ROUTE', type: 'Route' },
  priceSheet: { word: 'price-sheet', enum: 'PRICE_SHEET', type: 'PriceSheet' },
  budget: { word: 'budget', enum: 'BUDGET', type: 'Budget' },
  rateLimit: { word: 'rate-limit', enum: 'RATE_LIMIT', type: 'RateLimit' },
  policy: { word: 'policy', enum: 'POLICY', type: 'Policy' },
  webhook: { word: 'webhook', enum: 'WEBHOOK', type: 'Webhook' },
  alertRule: { word: 'alert-rule', enum: 'ALERT_RULE', type: 'AlertRule' },
  dataPlane: { word: 'data-plane', enum: 'DATA_PLANE', type: 'DataPlane' },
} as const

export type Kind = keyof typeof kinds
export const kindList = Object.keys(kinds) as Kind[]

const kindOfWord = new Map<string, Kind>(kindList.map((kind) => [kinds[kind].word, kind]))
const kindOfType = new Map<string, Kind>(kindList.map((kind) => [kinds[kind].type, kind]))

/** `project/checkout-bot`: what people and files call a resource. */
export function handleOf(kind: Kind, name: string): string {
  return `${kinds[kind].word}/${name}`
}

/** The kind that a word in a handle (`price-sheet`) or a `kind:` line of a file (`PriceSheet`) names. */
export function kindOf(word: string): Kind | undefined {
  return kindOfWord.get(word) ?? kindOfType.get(word)
}

export type ParsedRef = { by: 'id'; id: string; kind: Kind } | { by: 'handle'; kind: Kind; name: string }

/** Reads a Ref: an id (`prj_0197…`) or a handle split at its first slash, so that names may hold `/ . : @`. */
export function parseRef(ref: string): ParsedRef | undefined {
  const fromId = idKind(ref)
  if (fromId) return fromId in kinds ? { by: 'id', id: ref, kind: fromId as Kind } : undefined
  const slash = ref.indexOf('/')
  if (slash < 1 || slash === ref.length - 1) return undefined
  const kind = kindOfWord.get(ref.slice(0, slash))
  return kind ? { by: 'handle', kind, name: ref.slice(slash + 1) } : undefined
}

const labelWord = 'label/'

/** True where a scope speaks of a request label. No kind has this word. */
export function isLabelScope(scope: unknown): scope is string {
  return typeof scope === 'string' && scope.startsWith(labelWord)
}

/** `label/case=summary`, or `label/case` for every value (null). Split at the first `=`, since values may hold one. */
export function parseLabelScope(scope: string): { key: string; value: string | null } {
  const text = scope.slice(labelWord.length)
  const equals = text.indexOf('=')
  return equals < 0 ? { key: text, value: null } : { key: text.slice(0, equals), value: text.slice(equals + 1) }
}
