import { randomBytes } from 'node:crypto'
import { type Actor, authenticate } from '../../control-plane/domain/actor.ts'
import { raiseIncident } from '../../control-plane/domain/alerts/incidents.ts'
import type { Context } from '../../control-plane/domain/context.ts'
import { credentialSet } from '../../control-plane/domain/credentials.ts'
import { acceptRecords } from '../../control-plane/domain/ingest.ts'
import { apiKeyIssue } from '../../control-plane/domain/keys.ts'
import { startSequencer } from '../../control-plane/domain/sequencer.ts'
import { openStreams } from '../../control-plane/domain/streams.ts'
import { createTenant } from '../../control-plane/domain/tenants.ts'
import { declareAll, TestChain, testInstance } from '../../control-plane/domain/test-context.ts'
import { openVault } from '../../control-plane/domain/vault.ts'
import { systemClock } from '../../schema/clock.ts'
import type { Role } from '../../schema/config/index.ts'
import type { Kind } from '../../schema/handles.ts'
import { type IdKind, mintId } from '../../schema/ids.ts'
import type { Opened } from './databases.ts'

/** Everything in a house has its mark in its name, and an id of each kind can be asked for. */
export interface House {
  mark: string
  ids: Record<Kind | 'instance' | 'request' | 'audit' | 'alert', string>
  name(kind: string): string
  /** An idempotency key that this house used. */
  usedKey: string
}

export const lesserRoles = ['OWNER', 'ADMIN', 'AUDITOR', 'MEMBER', 'VIEWER', 'NONE'] as const
/** OPERATOR is an owner of the installation's first tenant; NONE is a key whose principal has no role. */
export type Asking = (typeof lesserRoles)[number] | 'OPERATOR'

export interface World {
  ctx: Context
  /** Admin tokens: of all roles in `home`, and of the installation's operator. */
  tokens: Record<Asking, string>
  /** Whose tokens they are. */
  principals: Record<Asking, string>
  home: House
  away: House
  /** Well-formed, and in no tenant. */
  missing: House
  /** Another record and another change in both houses, for streams to tell of. */
  stir(): Promise<void>
  stop(): Promise<void>
}

const houseMark = () => randomBytes(5).toString('hex')

const named = (mark: string) => ({ mark, name: (kind: string) => `${kind}-${mark}`, usedKey: `used-${mark}` })

/** A whole installation with two tenants that have one of everything. */
export async function makeWorld({ db, stop }: Opened): Promise<World> {
  const clock = systemClock
  const streams = openStreams({ db, clock })
  // Where an audit entry comes to stand is no concern here, and waiting for it would be most of the time.
  const quick = { ...streams, auditPosition: async () => null }
  const ctx: Context = { db, clock, streams: quick, vault: openVault('a master key for tests, 32 characters') }
  const sequencer = await startSequencer(ctx)
  const first = named(houseMark())
  const operators = await createTenant(ctx, { idempotencyKey: first.usedKey, name: first.name('tenant') })
  const home = await furnish(ctx)
  const away = await furnish(ctx)
  const missing = nowhere()
  const tokens: World['tokens'] = { ...home.tokens, OPERATOR: operators.adminToken! }
  const whose = Object.entries(tokens).map(async ([role, token]) => [role, (await authenticate(ctx, token))!.principal])
  return {
    ...{ ctx, missing, tokens, home: home.house, away: away.house },
    principals: Object.fromEntries(await Promise.all(whose)) as World['principals'],
    stir: async () => {
      await home.stir()
      await away.stir()
    },
    async stop() {
      await sequencer.stop()
      await streams.close()
      await stop()
    },
  }
}

function nowhere(): House {
  const kinds = [
    ...(['tenant', 'team', 'project', 'principal', 'apiKey', 'provider', 'credential', 'model', 'alias'] as const),
    ...(['tier', 'budget', 'rateLimit', 'policy', 'route', 'priceSheet', 'webhook', 'alertRule'] as const),
    ...(['alert', 'dataPlane', 'instance', 'request', 'audit'] as const),
  ] satisfies IdKind[]
  const ids = Object.fromEntries(kinds.map((kind) => [kind, mintId(kind)])) as House['ids']
  return { ...named(houseMark()), ids }
}

interface Furnished {
  house: House
  tokens: Record<(typeof lesserRoles)[number], string>
  stir: () => Promise<void>
}

async function furnish(ctx: Context): Promise<Furnished> {
  const names = named(houseMark())
  const made = await createTenant(ctx, { idempotencyKey: names.usedKey + names.mark, name: names.name('tenant') })
  const owner = (await authenticate(ctx, made.adminToken!))!
  const declared = await declareAll(ctx, owner, declarations(names.name))
  if (declared.errors.length > 0) throw new Error(JSON.stringify(declared.errors))
  const idOf = (kind: Kind) => declared.resources.find((one) => one.kind === kind && one.name === names.name(kind))!.id
  const secret = { idempotencyKey: names.usedKey, credential: idOf('credential'), secret: `secret-${names.mark}` }
  await credentialSet(ctx, owner, secret)
  const tokens = await issueRoles(ctx, owner, names.name, made.adminToken!)
  const key = await apiKeyIssue(ctx, owner, {
    ...{ idempotencyKey: 'application', kind: 'APPLICATION', name: names.name('apiKey') },
    ...{ principal: idOf('principal'), project: idOf('project') },
  })
  const edge = await testInstance(ctx, owner, names.name('dataPlane'))
  const request = mintId('request')
  const record = {
    ...{ team: idOf('team'), project: idOf('project'), principal: idOf('principal'), apiKey: key.apiKey!.id },
    ...{ provider: idOf('provider'), model: idOf('model'), tier: idOf('tier') },
    ...{ aliasId: idOf('alias'), alias: names.name('alias') },
  }
  const chain = new TestChain(edge)
  let sequence = 0
  const deliver = async (id: string) => {
    const records = [chain.next({ ...record, id, at: ctx.clock.now() })]
    await acceptRecords(ctx, edge.instance, { tenant: owner.tenant, epoch: edge.epoch, from: sequence++, records })
  }
  await deliver(request)
  const incident = { trigger: 'RECORDS_QUARANTINED', about: names.mark, summary: names.name('alert') } as const
  const alert = await ctx.db.withTenant(owner.tenant, (tx) => raiseIncident(tx, ctx, owner.tenant, incident))
  const kinds = [
    'team',
    'project',
    'principal',
    'provider',
    'credential',
    'model',
    'tier',
    'alias',
    'route',
    'priceSheet',
    'budget',
    'rateLimit',
    'policy',
    'webhook',
    'alertRule',
  ] as const
  const ids = {
    ...(Object.fromEntries(kinds.map((kind) => [kind, idOf(kind)])) as Pick<House['ids'], (typeof kinds)[number]>),
    ...{ tenant: owner.tenant, apiKey: key.apiKey!.id, dataPlane: edge.dataPlane, instance: edge.instance },
    ...{ request, audit: declared.audit!.id, alert: alert! },
  }
  const stir = async () => {
    await deliver(mintId('request'))
    await declareAll(ctx, owner, [['team', { name: names.name('team'), costCenter: String(sequence) }]])
  }
  return { house: { ...names, ids }, tokens, stir }
}

const declarations = (name: House['name']): [Kind, Record<string, unknown>][] => [
  ['team', { name: name('team') }],
  ['project', { name: name('project'), team: `team/${name('team')}`, purpose: name('purpose') }],
  ['principal', { name: name('principal'), identities: [{ issuer: 'https://id.example', subject: name('subject') }] }],
  ['provider', { name: name('provider'), platform: 'ECHO' }],
  ['credential', { name: name('credential'), provider: `provider/${name('provider')}` }],
  ['tier', { name: name('tier') }],
  [
    'model',
    {
      ...{ name: name('model'), provider: `provider/${name('provider')}`, upstreamName: name('upstream') },
      tier: `tier/${name('tier')}`,
    },
  ],
  ['route', { name: name('route'), targets: [{ model: `model/${name('model')}` }] }],
  ['alias', { name: name('alias'), route: `route/${name('route')}` }],
  [
    'priceSheet',
    {
      name: name('priceSheet'),
      lines: [{ model: `model/${name('model')}`, meter: 'INPUT_TOKENS', amount: '1', per: 1_000_000 }],
    },
  ],
  [
    'budget',
    {
      ...{ name: name('budget'), scope: `project/${name('project')}`, period: 'MONTH' },
      ...{ limit: { amount: '10', currency: 'USD' }, onExhausted: 'DOWNGRADE', downgradeTo: `tier/${name('tier')}` },
    },
  ],
  [
    'rateLimit',
    {
      ...{ name: name('rateLimit'), scope: `project/${name('project')}`, per: 'API_KEY' },
      ...{ unit: 'REQUESTS', limit: 1_000, window: 'PT1M' },
    },
  ],
  [
    'policy',
    {
      ...{ name: name('policy'), scope: `project/${name('project')}`, when: { tier: [`tier/${name('tier')}`] } },
      spec: { routing: { allowAliases: [`alias/${name('alias')}`] } },
    },
  ],
  ['webhook', { name: name('webhook'), url: `https://hooks.example/${name('webhook')}` }],
  [
    'alertRule',
    {
      ...{ name: name('alertRule'), scope: `project/${name('project')}`, on: 'BUDGET_THRESHOLD' },
      webhooks: [`webhook/${name('webhook')}`],
    },
  ],
]

/** A principal and an admin key for each role; the owner there is from the start. */
async function issueRoles(ctx: Context, owner: Actor, name: House['name'], ownerToken: string) {
  const others = lesserRoles.slice(1)
  const made = await declareAll(
    ctx,
    owner,
    others.map((role) => ['principal', { name: name(role.toLowerCase()) }]),
  )
  const principals = made.resources.map(({ id }) => id)
  const members = others.flatMap((role, index) =>
    role === 'NONE' ? [] : [{ principal: principals[index]!, role: role as Role }],
  )
  const owners = [{ principal: owner.principal, role: 'OWNER' }]
  await declareAll(ctx, owner, [['tenant', { name: name('tenant'), members: [...owners, ...members] }]])
  const tokens: [string, string][] = [['OWNER', ownerToken]]
  for (const [index, role] of others.entries()) {
    const key = { idempotencyKey: role, kind: 'ADMIN' as const, name: name(`key-${role.toLowerCase()}`) }
    const issued = await apiKeyIssue(ctx, owner, { ...key, principal: principals[index]! })
    if (!issued.secret) throw new Error(JSON.stringify(issued.errors))
    tokens.push([role, issued.secret])
  }
  return Object.fromEntries(tokens) as Furnished['tokens']
}
