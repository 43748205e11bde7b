import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { digestOf, writeManifest } from '../../air-gap/content.ts'
import { sealSecret } from '../../air-gap/secrets.ts'
import type { Installation, KeyPair } from '../../control-plane/domain/installation.ts'
import type { Heartbeat, LinkedInstance, LinkName } from '../../control-plane/domain/planes.ts'
import type { Check } from '../../control-plane/domain/provider-check-rows.ts'
import type { LinkDomain } from '../../control-plane/link/domain.ts'
import { makeTrustRoot } from '../../control-plane/link/trust.ts'
import { chainStart, recordHash } from '../../schema/flight-record.ts'
import { mintId } from '../../schema/ids.ts'
import { hashKey, packKeys } from '../../schema/key-table.ts'
import type { ChainHead, ProviderFinding } from '../../schema/link.ts'
import type { KeyDelta, SnapshotConfig } from '../../schema/snapshot.ts'

export async function makeInstallation(nowMs: number): Promise<Installation> {
  const id = mintId('installation')
  const [root, online] = [makeKeyPair(), makeKeyPair()]
  return { id, trustRoot: await makeTrustRoot({ installation: id, root, online, nowMs }), onlineKey: online }
}

function makeKeyPair(): KeyPair {
  const pair = generateKeyPairSync('ed25519')
  return {
    privateKey: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
  }
}

/** The domain as the link sees it, for one tenant, in memory: what the link itself promises is tested without a database. */
export class DomainDouble implements LinkDomain {
  readonly tenant = mintId('tenant')
  readonly credential = mintId('credential')
  readonly dataPlane = mintId('dataPlane')
  readonly instances = new Map<string, LinkedInstance>()
  readonly heartbeats: Heartbeat[] = []
  readonly records = new Map<string, string[]>()
  readonly goneLinks: LinkName[] = []
  readonly refusals: { instance: string; code: string; times: number }[] = []
  readonly deltas: KeyDelta[] = []
  /** Checks that nobody took yet, and what came of those that were. */
  readonly checks: Pick<Check, 'id' | 'provider' | 'credential' | 'revision'>[] = []
  readonly findings: { instance: string; id: string; finding: ProviderFinding }[] = []
  token = 'sle_right'
  nowMs: () => number = Date.now
  revision = 1
  maxStalenessMs = 60_000
  /** Awaited by a compile, so that a test can make one slow. */
  compiling: Promise<void> = Promise.resolve()
  /** What a part's bytes become on their way out. */
  spoil: (bytes: Buffer) => Buffer = (bytes) => bytes
  readonly #keys = new Map<string, { apiKey: string; revoked: boolean }>()
  readonly #contentKey = randomBytes(32)
  readonly #parts = new Map<string, Buffer>()
  readonly #checkWakes = new Set<(tenant: string) => void>()
  readonly #planeWakes = new Set<(tenant: string) => void>()
  readonly #wakes = new Set<(tenant: string) => void>()
  readonly #manifests = new Map<string, Buffer>()
  #compiled: { revision: number; deltaNumber: number } | undefined

  /** Issues or revokes a key, as the verbs do: a delta in the same breath. */
  setKey(key: string, revoked: boolean): void {
    const apiKey = this.#keys.get(key)?.apiKey ?? mintId('apiKey')
    this.#keys.set(key, { apiKey, revoked })
    const hash = hashKey(key).toString('hex')
    this.deltas.push({ number: this.deltas.length + 1, hash, apiKey, revoked, expiresAtMs: null, grant: this.#grant() })
    this.wake()
  }

  changeConfig(): void {
    this.revision += 1
    this.wake()
  }

  wake(): void {
    for (const wake of this.#wakes) wake(this.tenant)
  }

  now = () => this.nowMs()

  onConfigChange = async (wake: (tenant: string) => void) => {
    this.#wakes.add(wake)
    return async () => void this.#wakes.delete(wake)
  }

  retire(instance: string): void {
    this.instances.get(instance)!.serves = []
    for (const wake of this.#planeWakes) wake(this.tenant)
  }

  onPlanesChange = async (wake: (tenant: string) => void) => {
    this.#planeWakes.add(wake)
    return async () => void this.#planeWakes.delete(wake)
  }

  /** Asks for checks of the one provider, as the API does. */
  askChecks(...ids: string[]): void {
    for (const id of ids)
      this.checks.push({ id, provider: 'prv_1', credential: this.credential, revision: this.revision })
    for (const wake of this.#checkWakes) wake(this.tenant)
  }

  dealShares: LinkDomain['dealShares'] = async () => new Map()
  sharesTaken: LinkDomain['sharesTaken'] = async () => new Map()
  onShares = async () => async () => {}

  onChecks = async (wake: (tenant: string) => void) => {
    this.#checkWakes.add(wake)
    return async () => void this.#checkWakes.delete(wake)
  }

  takeChecks: LinkDomain['takeChecks'] = async (tenant, [able]) =>
    able
      ? this.checks.splice(0).map((check) => ({ ...check, ...able, tenant, askedAt: new Date(0), finding: null }))
      : []
  noteFinding: LinkDomain['noteFinding'] = async (instance, { id, finding }) =>
    void this.findings.push({ instance, id, finding })

  /** How lease calls are answered; a test may make it slow, or a fault. */
  answerLease: LinkDomain['leaseCall'] = async (_link, { call, tenant }) => ({
    ...{ type: 'leaseAnswer', call, tenant, leases: [], refused: null, short: [] },
  })
  leaseCall: LinkDomain['leaseCall'] = (link, call) => this.answerLease(link, call)
  /** Money that is to be asked back. */
  readonly recalls: Awaited<ReturnType<LinkDomain['takeRecalls']>> = []
  readonly #recallWakes = new Set<(tenant: string) => void>()
  takeRecalls: LinkDomain['takeRecalls'] = async (_tenant, instances) => {
    const taken = this.recalls.filter(({ instance }) => instances.includes(instance))
    this.recalls.splice(0, this.recalls.length, ...this.recalls.filter((recall) => !taken.includes(recall)))
    return taken
  }
  askBack(...recalls: Awaited<ReturnType<LinkDomain['takeRecalls']>>): void {
    this.recalls.push(...recalls)
    for (const wake of this.#recallWakes) wake(this.tenant)
  }
  onRecalls = async (wake: (tenant: string) => void) => {
    this.#recallWakes.add(wake)
    return async () => void this.#recallWakes.delete(wake)
  }
  mustReport: LinkDomain['mustReport'] = async () => false
  noteHeld: LinkDomain['noteHeld'] = async () => {}
  close = async () => {}

  redeemToken: LinkDomain['redeemToken'] = async ({ token, signingKey, encryptionKey }) => {
    if (token !== this.token) return { refused: 'The enrolment token is not valid.' }
    const { tenant, dataPlane } = this
    const known = [...this.instances.values()].find((instance) => instance.signingKey === signingKey)
    const id = known?.id ?? mintId('instance')
    const served = { serves: [tenant], recordsFor: [tenant] }
    this.instances.set(id, { id, dataPlane, epoch: 0, lastSeenAt: null, signingKey, encryptionKey, ...served })
    return { instance: id, dataPlane, tenants: [tenant] }
  }

  findInstance: LinkDomain['findInstance'] = async (id) => this.instances.get(id)
  openEpoch: LinkDomain['openEpoch'] = async (id) => {
    const instance = this.instances.get(id)!
    instance.lastSeenAt = new Date(this.nowMs())
    return ++instance.epoch
  }
  seen: LinkDomain['seen'] = async ({ instance, epoch }, heartbeat) => {
    this.heartbeats.push(heartbeat)
    return this.instances.get(instance)?.epoch === epoch
  }
  gone: LinkDomain['gone'] = async (link) => void this.goneLinks.push(link)
  noteRefused: LinkDomain['noteRefused'] = async (instance, { code, times }) =>
    void this.refusals.push({ instance, code, times })
  deltasSince: LinkDomain['deltasSince'] = async (_tenant, number) =>
    this.deltas.filter((delta) => delta.number > number)
  manifest: LinkDomain['manifest'] = async (tenant, digest) =>
    tenant === this.tenant ? this.#manifests.get(digest) : undefined
  part: LinkDomain['part'] = async (tenant, digest) => {
    const bytes = tenant === this.tenant ? this.#parts.get(digest) : undefined
    return bytes && this.spoil(bytes)
  }

  snapshotOf: LinkDomain['snapshotOf'] = async (tenant) => {
    await this.compiling
    // Only a change of configuration compiles anew; keys alone travel as deltas.
    if (this.#compiled?.revision !== this.revision)
      this.#compiled = { revision: this.revision, deltaNumber: this.deltas.length }
    const parts = this.#compile(this.#compiled.deltaNumber)
    for (const bytes of parts.values()) this.#parts.set(digestOf(bytes), Buffer.from(bytes))
    const { bytes: manifest, digest: contentDigest } = writeManifest({ tenant, ...this.#compiled, parts })
    this.#manifests.set(contentDigest, manifest)
    return { tenant, ...this.#compiled, contentDigest, manifest, contentKey: this.#contentKey }
  }

  chainHeads: LinkDomain['chainHeads'] = async () =>
    [...this.records].map(([chain, records]) => this.#head(Number(chain), records))

  acceptRecords: LinkDomain['acceptRecords'] = async (_instance, { epoch, from, records }) => {
    const held = this.records.get(String(epoch)) ?? []
    if (from > held.length)
      return { refused: true, head: this.#head(epoch, held), reason: 'It does not continue the chain.' }
    const fresh = records.slice(held.length - from)
    for (const text of fresh) {
      const last = held.at(-1)
      if (JSON.parse(text).previousHash !== (last ? recordHash(last) : chainStart))
        return { refused: true, head: null, reason: 'The chain forks.' }
      held.push(text)
    }
    this.records.set(String(epoch), held)
    return { head: this.#head(epoch, held) }
  }

  #head(epoch: number, records: string[]): ChainHead {
    const last = records.at(-1)
    return { tenant: this.tenant, epoch, sequence: records.length - 1, hash: last ? recordHash(last) : chainStart }
  }

  #compile(deltaNumber: number): Map<string, Uint8Array> {
    const known = new Map(this.deltas.slice(0, deltaNumber).map((delta) => [delta.hash, delta]))
    const rows = [...known.values()].map(({ hash, apiKey, revoked }) => ({
      hash: Buffer.from(hash, 'hex'),
      apiKey,
      revoked,
      grant: 0,
      expiresAtMs: null,
    }))
    const shards = [...packKeys(rows)].map(
      ([first, bytes]) => [`keys/${first.toString(16).padStart(2, '0')}`, bytes] as const,
    )
    const secrets = { [this.credential]: sealSecretOnce(this.#contentKey, this.tenant, this.credential) }
    return new Map<string, Uint8Array>([
      ['config', Buffer.from(JSON.stringify(this.#config()))],
      ['secrets', Buffer.from(JSON.stringify(secrets))],
      ...shards,
    ])
  }

  #config(): SnapshotConfig {
    return {
      schemaVersion: 1,
      tenant: { id: this.tenant, name: 'acme', currency: 'USD', maxStalenessMs: this.maxStalenessMs },
      revision: this.revision,
      grants: [this.#grant()],
      aliases: [],
      routes: [],
      models: [],
      priceSheets: [],
      tiers: [],
      requestLabels: [],
      policies: [],
      budgets: [],
      rateLimits: [],
      providers: [
        {
          id: 'prv_1',
          name: 'openai',
          platform: 'OPENAI',
          codecs: ['OPENAI_CHAT'],
          baseUrl: 'https://example.test',
          region: null,
          apiVersion: null,
          selfHosted: false,
          headers: {},
          forwardHeaders: [],
          proxy: null,
          caBundle: null,
        },
      ],
      credentials: [{ id: this.credential, provider: 0, kind: 'API_KEY', source: 'STORED', locator: null, version: 1 }],
    }
  }

  #grant() {
    return { team: null, project: 'prj_1', principal: 'prn_1', aliases: null, requestLabels: {}, allowedAddresses: [] }
  }
}

/** Sealed once per key: a compile of the same configuration gives the same bytes. */
const sealedOnce = new Map<Buffer, string>()
function sealSecretOnce(contentKey: Buffer, tenant: string, credential: string): string {
  const sealed = sealedOnce.get(contentKey) ?? sealSecret(contentKey, tenant, credential, 'sk-upstream')
  sealedOnce.set(contentKey, sealed)
  return sealed
}
