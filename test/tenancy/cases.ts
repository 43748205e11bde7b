import { encodeCursor, logStart } from '../../schema/cursor.ts'
import type { Permission } from '../../schema/permissions.ts'
import type { House } from './world.ts'

/** One document about one house. */
export interface Ask {
  /** What it names, for the failure's sentence. */
  about: string
  document: string
  variables: (of: House, serial: number, ownPrincipal: string) => Record<string, unknown>
  /** Any of these lets an actor of that house have an answer that differs from a missing one's; null = whoever asks. */
  needs: Permission[] | null
  /** What who may ask gets: something else than for what is missing, or simply no refusal. */
  then: 'DIFFERS' | 'ANSWERS'
}

type Id = keyof House['ids']
const errors = 'errors { __typename code message path ... on NotFound { ref } ... on NotPermitted { permission } }'
/** What records name, so that who reads its own meets these. */
const named = new Set<Id>(['provider', 'model', 'tier', 'alias', 'dataPlane'])
const needsOf = (kind: Id): Permission[] | null => {
  if (kind === 'tenant') return null
  if (named.has(kind)) return ['config:read', 'record:read-own']
  if (kind === 'alert') return ['event:read']
  return kind === 'audit' ? ['audit:read'] : kind === 'request' ? ['record:read'] : ['config:read']
}

const declared: Id[] = [
  ...(['team', 'project', 'principal', 'apiKey', 'provider', 'credential', 'model', 'tier', 'alias'] as const),
  ...(['route', 'priceSheet', 'budget', 'policy', 'webhook', 'alertRule', 'dataPlane'] as const),
]
const nodes: Id[] = [...declared, 'tenant', 'instance', 'request', 'audit', 'alert']
const words: Partial<Record<Id, string>> = {
  apiKey: 'api-key',
  priceSheet: 'price-sheet',
  dataPlane: 'data-plane',
  alertRule: 'alert-rule',
}
const handle = (of: House, kind: Id) => `${words[kind] ?? kind}/${of.name(kind)}`

const ask = (
  about: string,
  needs: Permission[] | null,
  document: string,
  variables: Ask['variables'] = () => ({}),
  then: Ask['then'] = 'DIFFERS',
): Ask => ({ about, needs, document, variables, then })

const own = (document: string, needs: Permission[] | null = null) => [
  ask('its own', needs, document, () => ({}), 'ANSWERS'),
]

/** A list filtered by each of some references. */
const filtered = (needs: Permission[], document: string, fields: string[]) =>
  fields.flatMap((field) => [
    ask(`${field} by id`, needs, document, ({ ids }) => ({ filter: { [field]: [ids[field as Id]] } })),
    ask(`${field} by handle`, needs, document, (of) => ({ filter: { [field]: [handle(of, field as Id)] } })),
  ])

const tenantList = (list: string, filter: string, field: Id, type: string) =>
  ask(
    `${list} of a ${field}`,
    ['config:read'],
    `query ($filter: ${type}) { tenant { ${list}(filter: $filter) { nodes { id } } } }`,
    ({ ids }) => ({
      filter: { [filter]: [ids[field]] },
    }),
  )

const applying = (about: string, resource: (of: House) => object) =>
  ask(
    about,
    ['config:write'],
    `mutation ($input: ApplyInput!) { apply(input: $input) { ${errors} resources { id } } }`,
    (of) => ({ input: { resources: [resource(of)], dryRun: true } }),
  )

const retiring = (verb: 'archive' | 'restore') =>
  [...declared, 'tenant' as const].map((kind) =>
    ask(
      kind,
      ['config:write'],
      `mutation ($input: ArchiveInput!) { ${verb}(input: $input) { ${errors} resources { id } } }`,
      ({ ids }) => ({ input: { refs: [ids[kind]], dryRun: true } }),
    ),
  )

const issuing = (about: string, needs: Permission[], fields: (of: House, ownPrincipal: string) => object) =>
  ask(
    about,
    needs,
    `mutation ($input: ApiKeyIssueInput!) { apiKeyIssue(input: $input) { ${errors} apiKey { __typename } } }`,
    (of, serial, own) => ({
      input: { idempotencyKey: `issue-${serial}`, name: `issued-${serial}`, kind: 'APPLICATION', ...fields(of, own) },
    }),
  )

const place = ({ principal, project }: House['ids']) => ({ principal, project })
const dimensions = ['team', 'project', 'principal', 'apiKey', 'provider', 'model', 'tier', 'dataPlane']
const cursor = encodeCursor(logStart)

/** What is asked of every field of the API's roots. The matrix fails where a field has no case here. */
export const cases: Record<string, Ask[]> = {
  'Query.node': nodes.map((kind) =>
    ask(kind, needsOf(kind), 'query ($id: ID!) { node(id: $id) { __typename id } }', ({ ids }) => ({ id: ids[kind] })),
  ),
  'Query.nodes': nodes.map((kind) =>
    ask(kind, needsOf(kind), 'query ($id: ID!) { nodes(ids: [$id, $id]) { __typename id } }', ({ ids }) => ({
      id: ids[kind],
    })),
  ),
  'Query.resource': [
    ...[...declared, 'tenant' as const].flatMap((kind) => {
      const document = 'query ($ref: Ref!) { resource(ref: $ref) { __typename id name } }'
      return [
        ask(`${kind} by id`, needsOf(kind), document, ({ ids }) => ({ ref: ids[kind] })),
        ask(`${kind} by handle`, needsOf(kind), document, (of) => ({ ref: handle(of, kind) })),
      ]
    }),
    ask(
      'what is left of a budget',
      ['config:read'],
      `query ($ref: Ref!) { resource(ref: $ref) { ... on Budget {
        balance { subject limit { amount } available { amount } asOf } balances { nodes { subject resource { id } } }
        adjustments { nodes { id reason actor { id } } } leases { nodes { id instance { id } } }
      } } }`,
      ({ ids }) => ({ ref: ids.budget }),
    ),
  ],
  'Query.tenant': [
    ...own('{ tenant { id name handle labels revision currency maxStaleness configRevision } }'),
    ...own('{ tenant { resources(first: 100) { nodes { id handle } } members { nodes { principal { name } } } } }', [
      'config:read',
    ]),
    ...own('{ tenant { aliases { nodes { id name } } tiers { nodes { id name models { nodes { name } } } } } }', [
      'config:read',
      'record:read-own',
    ]),
    ...(
      [
        'teams',
        'projects',
        'principals',
        'apiKeys',
        'providers',
        'models',
        'routes',
        'priceSheets',
        'policies',
        'webhooks',
        'alertRules',
      ] as const
    ).flatMap((list) => own(`{ tenant { ${list} { nodes { id name } } } }`, ['config:read'])),
    ...own('{ tenant { dataPlanes { nodes { id name instances { nodes { id } } } } } }', ['config:read']),
    tenantList('projects', 'team', 'team', 'ProjectFilter'),
    tenantList('apiKeys', 'project', 'project', 'ApiKeyFilter'),
    tenantList('apiKeys', 'principal', 'principal', 'ApiKeyFilter'),
    tenantList('models', 'provider', 'provider', 'ModelFilter'),
    tenantList('models', 'tier', 'tier', 'ModelFilter'),
    tenantList('policies', 'scope', 'project', 'PolicyFilter'),
    ...own('{ tenant { requestLabels { key values } } }', ['config:read', 'record:read-own']),
    ...own('{ tenant { policies(filter: { kind: [ROUTING] }) { nodes { name scope { ref resource { id } } } } } }', [
      'config:read',
    ]),
    ask(
      'search',
      ['config:read'],
      'query ($search: String) { tenant { resources(search: $search) { nodes { id } } } }',
      (of) => ({
        search: of.mark,
      }),
    ),
  ],
  'Query.audit': [
    ask(
      'target',
      ['audit:read'],
      'query ($id: Ref!) { audit(filter: { target: [$id] }) { nodes { id } } }',
      ({ ids }) => ({
        id: ids.team,
      }),
    ),
    ask(
      'all',
      ['audit:read'],
      '{ audit(first: 100) { nodes { id targets { ref name } actor { id name } } } }',
      () => ({}),
      'ANSWERS',
    ),
  ],
  'Query.flightRecords': [
    ...filtered(
      ['record:read'],
      'query ($filter: FlightFilter) { flightRecords(filter: $filter) { nodes { id project { name } } } }',
      dimensions,
    ),
    ask(
      'request id',
      ['record:read'],
      'query ($id: ID!) { flightRecords(filter: { requestId: [$id] }) { nodes { id } } }',
      ({ ids }) => ({ id: ids.request }),
    ),
    ask(
      'alias',
      ['record:read'],
      'query ($alias: String!) { flightRecords(filter: { alias: [$alias] }) { nodes { id } } }',
      (of) => ({ alias: of.name('alias') }),
    ),
    ...own('{ flightRecords { nodes { id alias } } }', ['record:read', 'record:read-own']),
  ],
  'Query.spend': [
    ...filtered(
      ['spend:read'],
      'query ($filter: SpendFilter) { spend(window: {}, interval: TOTAL, filter: $filter) { total { amount currency } } }',
      dimensions,
    ),
    ...own('{ spend(window: {}, interval: TOTAL, groupBy: [PROJECT, API_KEY, MODEL]) { total { amount } } }', [
      'spend:read',
      'spend:read-own',
    ]),
  ],
  'Query.explain': ['project', 'apiKey'].flatMap((field) => {
    const document =
      'query ($input: ExplainInput!) { explain(input: $input) { steps { because { id } } target { weight } } }'
    const about = { alias: 'nothing', prompt: 'Hello' }
    return [
      ask(`${field} by id`, ['config:read'], document, ({ ids }) => ({
        input: { ...about, [field]: ids[field as Id] },
      })),
      ask(`${field} by handle`, ['config:read'], document, (of) => ({
        input: { ...about, [field]: handle(of, field as Id) },
      })),
    ]
  }),
  'Query.alerts': [
    ask(
      'all',
      ['event:read'],
      '{ alerts(first: 100) { nodes { id summary subject { id } rule { id } } } }',
      () => ({}),
      'ANSWERS',
    ),
  ],
  'Query.viewer': own(
    '{ viewer { actor { id name onBehalfOf { id name } } tenant { id name } memberships { role } permissions } }',
  ),
  'Query.permissions': own('{ permissions { name description roles } }'),
  'Query.configSchema': own('{ configSchema }'),
  'Query.apiQuota': own('{ apiQuota { cost limit } }'),
  'Query.tenants': [
    ask(
      'name',
      ['installation:tenants'],
      'query ($name: String) { tenants(search: $name) { nodes { id name } } }',
      (of) => ({
        name: of.name('tenant'),
      }),
    ),
  ],
  'Mutation.tenantCreate': [
    ask(
      'a taken name',
      ['installation:tenants'],
      `mutation ($input: TenantCreateInput!) { tenantCreate(input: $input) { ${errors} tenant { name } replayed } }`,
      (of, serial) => ({ input: { idempotencyKey: `create-${serial}`, name: of.name('tenant') } }),
    ),
  ],
  'Mutation.budgetAdjust': (['id', 'handle'] as const).map((by) =>
    ask(
      `a budget by ${by}`,
      ['config:write'],
      `mutation ($input: BudgetAdjustInput!) { budgetAdjust(input: $input) { ${errors} budget { id } adjustment { id } replayed } }`,
      (of, serial) => ({
        input: {
          ...{ idempotencyKey: `adjust-${serial}`, budget: by === 'id' ? of.ids.budget : handle(of, 'budget') },
          ...{ amount: { amount: '1', currency: 'USD' }, reason: 'a test' },
        },
      }),
    ),
  ),
  'Mutation.leaseWriteOff': (['instance', 'budget'] as const).map((field) =>
    ask(
      field,
      ['config:write'],
      `mutation ($input: LeaseWriteOffInput!) { leaseWriteOff(input: $input) { ${errors} leases { id } replayed } }`,
      ({ ids }, serial) => ({
        input: {
          ...{ idempotencyKey: `lost-${serial}`, instance: 'ins_nothing', reason: 'a test', [field]: ids[field] },
        },
      }),
    ),
  ),
  'Mutation.apiKeyIssue': [
    issuing('principal', ['key:issue'], ({ ids }) => place(ids)),
    issuing('principal alone', ['key:issue'], ({ ids }) => ({ principal: ids.principal, kind: 'ADMIN' })),
    issuing('project of one’s own key', ['key:issue'], ({ ids }, own) => ({ ...place(ids), principal: own })),
    issuing('alias', ['key:issue'], ({ ids }) => ({ ...place(ids), aliases: [ids.alias] })),
    issuing('idempotency key', ['key:issue'], (of) => ({ idempotencyKey: of.usedKey, principal: of.ids.principal })),
  ],
  'Mutation.apiKeyRotate': [
    ask(
      'key',
      ['key:issue'],
      `mutation ($input: ApiKeyRotateInput!) { apiKeyRotate(input: $input) { ${errors} apiKey { id } replayed } }`,
      ({ ids }, serial) => ({ input: { idempotencyKey: `rotate-${serial}`, apiKey: ids.apiKey } }),
    ),
  ],
  'Mutation.apiKeyRevoke': [
    ask(
      'key',
      ['key:revoke'],
      `mutation ($input: ApiKeyRevokeInput!) { apiKeyRevoke(input: $input) { ${errors} apiKey { id } } }`,
      ({ ids }) => ({ input: { apiKey: ids.apiKey, reason: 'tried' } }),
    ),
  ],
  'Mutation.credentialSet': [
    ask(
      'credential',
      ['credential:set'],
      `mutation ($input: CredentialSetInput!) { credentialSet(input: $input) { ${errors} credential { id } replayed } }`,
      ({ ids }, serial) => ({ input: { idempotencyKey: `set-${serial}`, credential: ids.credential, secret: 's' } }),
    ),
  ],
  'Mutation.alertAcknowledge': [
    ask(
      'alert',
      ['config:write'],
      `mutation ($input: AlertAcknowledgeInput!) { alertAcknowledge(input: $input) { ${errors} alert { id } } }`,
      ({ ids }) => ({ input: { alert: ids.alert } }),
    ),
  ],
  'Mutation.webhookTest': [
    ask(
      'webhook',
      ['config:write'],
      `mutation ($input: WebhookTestInput!) { webhookTest(input: $input) { ${errors} delivery { id } replayed } }`,
      ({ ids }, serial) => ({
        input: { idempotencyKey: `hook-${serial}`, webhook: ids.webhook, event: 'ALERT_RAISED' },
      }),
    ),
  ],
  'Mutation.webhookSecretRotate': [
    ask(
      'webhook',
      ['credential:set'],
      `mutation ($input: WebhookSecretRotateInput!) { webhookSecretRotate(input: $input) { ${errors} webhook { id } replayed } }`,
      ({ ids }, serial) => ({ input: { idempotencyKey: `sign-${serial}`, webhook: ids.webhook } }),
    ),
  ],
  'Mutation.providerCheck': (['provider', 'credential', 'dataPlane'] as const).flatMap((field) => {
    const document = `mutation ($input: ProviderCheckInput!) { providerCheck(input: $input) { ${errors} ok detail } }`
    return [
      ask(`${field} by id`, ['config:write'], document, ({ ids }) => ({
        input: { provider: ids.provider, [field]: ids[field] },
      })),
      ask(`${field} by handle`, ['config:write'], document, (of) => ({
        input: { provider: of.ids.provider, [field]: handle(of, field) },
      })),
    ]
  }),
  'Mutation.dataPlaneEnroll': [
    ask(
      'a name',
      ['plane:enroll'],
      `mutation ($input: DataPlaneEnrollInput!) { dataPlaneEnroll(input: $input) { ${errors} dataPlane { name } replayed } }`,
      (of, serial) => ({
        input: { idempotencyKey: `enrol-${serial}`, name: of.name('dataPlane'), adapter: 'STANDALONE' },
      }),
      'ANSWERS',
    ),
  ],
  'Mutation.apply': [
    applying('a team of a project', ({ ids }) => ({ project: { name: 'p', team: ids.team } })),
    applying('a principal as member', ({ ids }) => ({
      team: { name: 't', members: [{ principal: ids.principal, role: 'VIEWER' }] },
    })),
    applying('a tier of a model', ({ ids }) => ({
      model: { name: 'm', provider: ids.provider, upstreamName: 'm', tier: ids.tier },
    })),
    applying('the scope of a policy', ({ ids }) => ({
      policy: { name: 'p', scope: ids.team, spec: { routing: { regions: ['eu-1'] } } },
    })),
    applying('what a policy names', ({ ids }) => ({
      policy: { name: 'p', scope: ids.project, spec: { routing: { denyModels: [ids.model] } } },
    })),
    applying('a model of an alias', ({ ids }) => ({ alias: { name: 'a', model: ids.model } })),
    ...declared.map((kind) =>
      applying(`the id of a ${kind}`, ({ ids }) => ({ [kind]: { id: ids[kind], name: 'renamed' } })),
    ),
    applying('the id of a tenant', ({ ids }) => ({ tenant: { id: ids.tenant, name: 'renamed' } })),
  ],
  'Mutation.archive': retiring('archive'),
  'Mutation.restore': retiring('restore'),
  'Mutation.revert': [
    ask(
      'its own newest revision',
      ['config:write'],
      `mutation ($input: RevertInput!) { revert(input: $input) { ${errors} plan { digest warnings { message } } resources { id } } }`,
      () => ({ input: { dryRun: true } }),
      'ANSWERS',
    ),
  ],
  'Subscription.events': [
    ask(
      'all',
      ['event:read'],
      'subscription ($after: Cursor) { events(after: $after) { __typename kind ... on ConfigChanged { actor { name } changes { ref } } } }',
      () => ({ after: cursor }),
      'ANSWERS',
    ),
  ],
  'Subscription.spendTicks': ['project', 'apiKey', 'model'].map((field) =>
    ask(
      field,
      ['spend:read'],
      'subscription ($filter: SpendFilter, $after: Cursor) { spendTicks(interval: TOTAL, filter: $filter, after: $after) { groups { total { amount } } } }',
      ({ ids }) => ({ filter: { [field]: [ids[field as Id]] }, after: cursor }),
    ),
  ),
  'Subscription.flightTail': ['project', 'apiKey', 'model'].map((field) =>
    ask(
      field,
      ['record:read'],
      'subscription ($filter: FlightFilter, $after: Cursor) { flightTail(filter: $filter, after: $after) { records { id } } }',
      ({ ids }) => ({ filter: { [field]: [ids[field as Id]] }, after: cursor }),
    ),
  ),
}
