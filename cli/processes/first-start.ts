import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { handleOf } from '../../schema/handles.ts'
import type { Client } from '../api/client.ts'
import { errorFields, idempotencyKey, type UserError, write } from '../api/write.ts'
import { environmentProviders } from '../catalogue/environment.ts'
import { listModels } from '../catalogue/list-models.ts'
import { type ProviderWish, providerResources, type Resource } from '../catalogue/resources.ts'
import type { Environment } from '../settings.ts'
import { type Failed, isFailed } from '../trouble.ts'

/** What `up` shows of an installation. */
export interface Seeds {
  applicationKey: string
  /** A model name that works with that key. */
  model: string
  /** Null where the gateway is enrolled already. */
  planeToken: string | null
  /** What was found in the environment but cannot be declared yet, a sentence each. */
  notes: string[]
}

interface Payload {
  errors: UserError[]
}

const applyDocument = `mutation ($input: ApplyInput!) { write: apply(input: $input) { ${errorFields} revision } }`
const issueDocument = `mutation ($input: ApiKeyIssueInput!) { write: apiKeyIssue(input: $input) { ${errorFields} secret } }`
const enrollDocument = `mutation ($input: DataPlaneEnrollInput!) { write: dataPlaneEnroll(input: $input) { ${errorFields} enrollmentToken } }`

/** The organisation of a first start; an administrator renames or replaces it like anything else. */
const organisation: Resource[] = [
  { kind: 'team', input: { name: 'default' } },
  { kind: 'principal', input: { name: 'local-application', kind: 'SERVICE' } },
  { kind: 'project', input: { name: 'default', team: 'team/default', purpose: 'First steps' } },
]

/**
 * Declares what a new installation needs to answer its first request. Safe to run again: what is there stays, a key is only
 * issued where none was kept, providers are declared from the environment as it is now.
 */
export async function prepare(client: Client, dataDir: string, env: Environment): Promise<Seeds | Failed> {
  const { wishes, notes } = environmentProviders(env, Date.now())
  const listed = await Promise.all(wishes.map(withModels))
  const resources = listed.flatMap(({ wish }) => providerResources(wish).resources)
  const applied = await applyMissing(client, [...organisation, ...resources])
  if (isFailed(applied)) return applied
  const applicationKey = await keptKey(client, join(dataDir, 'application-key'))
  if (typeof applicationKey !== 'string') return applicationKey
  const planeToken = await enrolment(client, dataDir)
  if (isFailed(planeToken)) return planeToken
  return {
    applicationKey,
    model: firstModel(resources),
    notes: [...notes, ...listed.flatMap(({ note }) => (note ? [note] : []))],
    planeToken,
  }
}

/** A self-hosted server is asked what it serves; the others are in the catalogue. */
async function withModels(wish: ProviderWish): Promise<{ wish: ProviderWish; note?: string }> {
  if (wish.vendor !== 'self-hosted' || !wish.baseUrl) return { wish }
  const answer = await listModels(wish.baseUrl)
  if ('models' in answer) return { wish: { ...wish, models: answer.models } }
  return { wish, note: `${answer.unlisted}; its models are reached as self-hosted/NAME.` }
}

/** Cheap models that every key of their vendor may ask for. */
const smallModels = ['gpt-5-mini', 'gpt-4o-mini', 'claude-haiku-4-5', 'gemini-2.5-flash', 'amazon.nova-micro-v1:0']

/** The model of the printed request: a small and cheap one where there is a choice. */
function firstModel(resources: Resource[]): string {
  const names = resources.filter(({ kind }) => kind === 'alias').map(({ input }) => input.name)
  const exact = names.filter((name) => !name.endsWith('*'))
  return smallModels.find((name) => exact.includes(name)) ?? exact[0] ?? names[0] ?? 'echo'
}

/** Only what does not exist yet: a start never changes what an administrator has declared since. */
async function applyMissing(client: Client, resources: Resource[]): Promise<Failed | undefined> {
  const fields = resources.map(
    ({ kind, input }, at) => `r${at}: resource(ref: ${JSON.stringify(handleOf(kind, input.name))}) { id }`,
  )
  const present: Record<string, unknown> = {}
  for (const some of chunks(fields, refsPerQuery)) {
    const answer = await client.ask<Record<string, unknown>>(`query { ${some.join(' ')} }`)
    if (isFailed(answer)) return answer
    Object.assign(present, answer)
  }
  const missing = resources.filter((_, at) => present[`r${at}`] === null)
  if (missing.length === 0) return undefined
  const revision = await client.ask<{ tenant: { configRevision: number } }>('query { tenant { configRevision } }')
  if (isFailed(revision)) return revision
  const input = {
    resources: missing.map(({ kind, input }) => ({ [kind]: input })),
    ifRevision: revision.tenant.configRevision,
    dryRun: false,
    reason: 'first start',
  }
  const payload = await write<Payload>(client, applyDocument, input, { retry: 'UNSENT' })
  return isFailed(payload) ? payload : undefined
}

/** Below the API's bound on aliases in one document. */
const refsPerQuery = 15

function chunks<T>(items: T[], size: number): T[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, at) => items.slice(at * size, (at + 1) * size))
}

/** The application key of an earlier start, else a new one, kept where only its owner reads it. */
async function keptKey(client: Client, path: string): Promise<string | Failed> {
  if (existsSync(path)) return readFileSync(path, 'utf8').trim()
  const input = {
    idempotencyKey: idempotencyKey(),
    kind: 'APPLICATION',
    name: `local-${Date.now().toString(36)}`,
    principal: 'principal/local-application',
    project: 'project/default',
    reason: 'first start',
  }
  const payload = await write<Payload & { secret: string }>(client, issueDocument, input, { retry: 'ALWAYS' })
  if (isFailed(payload)) return payload
  writeFileSync(path, `${payload.secret}\n`, { mode: 0o600 })
  return payload.secret
}

/** A token for the local gateway, unless it holds an identity already. */
async function enrolment(client: Client, dataDir: string): Promise<string | null | Failed> {
  if (existsSync(join(dataDir, 'gateway', 'instance.json'))) return null
  const input = { idempotencyKey: idempotencyKey(), name: 'local', adapter: 'STANDALONE', reason: 'first start' }
  const payload = await write<Payload & { enrollmentToken: string }>(client, enrollDocument, input, { retry: 'ALWAYS' })
  return isFailed(payload) ? payload : payload.enrollmentToken
}
