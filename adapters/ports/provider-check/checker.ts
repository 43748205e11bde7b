import type { RunningSnapshot, Secrets, SnapshotSource } from '../../../data-plane/snapshot/running.ts'
import { type ProviderCheckAsk, type ProviderFinding, providerCheckMsMax } from '../../../schema/link.ts'
import { prover } from '../credentials/proof.ts'
import { Destinations } from '../destination.ts'
import { tokenExchange } from '../token-exchange.ts'
import { type CheckedTarget, callOnce, type Way } from './call.ts'
import { unreached } from './findings.ts'

/** Calls under way at once, of all tenants; and how long what was just declared is waited for. */
export const checksMax = 4
export const snapshotWaitMs = 5_000

/** Makes the check that a control plane asks for. Never rejects; `closing` ends what is under way. */
export type CheckProvider = (ask: Omit<ProviderCheckAsk, 'type'>, closing: AbortSignal) => Promise<ProviderFinding>

type Watched = SnapshotSource & { onSwap(swapped: () => void): () => void }

/** Checks providers with this gateway's own network and credentials. */
export function providerChecker(options: {
  snapshots: Watched
  secrets: Secrets
  privateHosts?: readonly string[]
}): CheckProvider {
  const destinations = new Destinations(options)
  const way: Way = { prover: prover(options.secrets, tokenExchange(destinations)), destinations }
  let underWay = 0
  return async (ask, closing) => {
    if (underWay >= checksMax)
      return unreached('This gateway is checking as many providers as it may at once; try again.')
    underWay += 1
    try {
      const target = await targetOf(ask, options.snapshots, closing)
      if ('detail' in target) return target
      if (target.provider.platform === 'ECHO') return echo
      const timeoutMs = Math.min(ask.timeoutMs, providerCheckMsMax)
      const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), closing])
      return await callOnce(target, way, signal, timeoutMs)
    } finally {
      underWay -= 1
    }
  }
}

/** The built-in provider is always there. */
const echo: ProviderFinding = { ok: true, status: 200, latencyMs: 0, detail: 'It is built in.', models: ['echo'] }

/** What is to be called, from the snapshot that runs here: nothing else can be. */
async function targetOf(
  ask: Pick<ProviderCheckAsk, 'tenant' | 'provider' | 'credential' | 'revision'>,
  snapshots: Watched,
  closing: AbortSignal,
): Promise<CheckedTarget | ProviderFinding> {
  const snapshot = await snapshotAt(ask.tenant, ask.revision, snapshots, closing)
  if (!snapshot) return unreached(`The gateway that was asked does not run revision ${ask.revision} yet; try again.`)
  const provider = snapshot.providers.find(({ id }) => id === ask.provider)
  const credential = snapshot.credentials.find(({ id }) => id === ask.credential) ?? null
  const isWhole = provider && (ask.credential === null || credential?.provider === provider)
  return isWhole ? { provider, credential } : unreached('The gateway that was asked does not have it.')
}

async function snapshotAt(
  tenant: string,
  revision: number,
  snapshots: Watched,
  closing: AbortSignal,
): Promise<RunningSnapshot | undefined> {
  const found = () => {
    const running = snapshots.current().tenants.get(tenant)?.snapshot
    return running && running.revision >= revision ? running : undefined
  }
  if (found()) return found()
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(resolve, snapshotWaitMs)
  const ended = () => resolve()
  closing.addEventListener('abort', ended)
  const stop = snapshots.onSwap(() => {
    if (found()) resolve()
  })
  await promise
  clearTimeout(timer)
  closing.removeEventListener('abort', ended)
  stop()
  return found()
}
