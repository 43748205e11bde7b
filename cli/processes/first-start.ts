import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
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
const organisation = [
  { team: { name: 'default' } },
  { principal: { name: 'local-application', kind: 'SERVICE' } },
  { project: { name: 'default', team: 'team/default', purpose: 'First steps' } },
]

/**
 * Declares what a new installation needs to answer its first request. Safe to run again: what is there stays, a key is only
 * issued where none was kept, providers are declared from the environment as it is now.
 */
export async function prepare(client: Client, dataDir: string, env: Environment): Promise<Seeds | Failed> {
  const { resources, model, notes } = environmentProviders(env)
  const applied = await applyMissing(client, [...organisation, ...resources])
  if (isFailed(applied)) return applied
  const applicationKey = await keptKey(client, join(dataDir, 'application-key'))
  if (typeof applicationKey !== 'string') return applicationKey
  const planeToken = await enrolment(client, dataDir)
  if (isFailed(planeToken)) return planeToken
  return { applicationKey, model, notes, planeToken }
}

/** Only what does not exist yet: a start never changes what an administrator has declared since. */
async function applyMissing(client: Client, resources: Declared[]): Promise<Failed | undefined> {
  const refs = resources.map(refOf)
  const document = `query { configRevision: tenant { configRevision } ${refs.map((ref, at) => `r${at}: resource(ref: ${JSON.stringify(ref)}) { id }`).join(' ')} }`
  const answer = await client.ask<Record<string, { id: string } | null>>(document)
  if (isFailed(answer)) return answer
  const missing = resources.filter((_, at) => answer[`r${at}`] === null)
  if (missing.length === 0) return undefined
  const { configRevision } = answer.configRevision as unknown as { configRevision: number }
  const input = { resources: missing, ifRevision: configRevision, dryRun: false, reason: 'first start' }
  const payload = await write<Payload>(client, applyDocument, input, { retry: 'UNSENT' })
  return isFailed(payload) ? payload : undefined
}

const words: Record<string, string> = { priceSheet: 'price-sheet', apiKey: 'api-key', dataPlane: 'data-plane' }

/** `{ team: { name: 'a' } }` as `team/a`. */
function refOf(resource: Declared): string {
  const [[kind, { name }]] = Object.entries(resource) as [[string, { name: string }]]
  return `${words[kind] ?? kind}/${name}`
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
