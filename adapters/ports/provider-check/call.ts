import type { RunningCredential, RunningProvider } from '../../../data-plane/snapshot/running.ts'
import { checkedModelsMax, type ProviderFinding } from '../../../schema/link.ts'
import type { Proof, Prover } from '../credentials/proof.ts'
import { addressed, type Destination, type Destinations } from '../destination.ts'
import { type Egress, egressOf } from '../egress.ts'
import { scrubber } from '../upstream-fetch.ts'
import { sentenceOf, sentenceOfFailure, unreached } from './findings.ts'
import { type Listing, listingOf } from './listing.ts'
import { modelNames } from './names.ts'

/** Far more than 1,000 models need; some lists describe each at length. */
const listBytesMax = 4 * 1024 * 1024
const nameLengthMax = 200
const lookupMsMax = 2_000

export interface CheckedTarget {
  provider: RunningProvider
  credential: RunningCredential | null
}

export interface Way {
  prover: Prover
  destinations: Destinations
}

/** Makes the one call, by the way that requests take. Never rejects; `signal` ends it, and `timeoutMs` is what that stands for. */
export async function callOnce(
  target: CheckedTarget,
  way: Way,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<ProviderFinding> {
  const late = unreached(`It did not answer within ${Math.round(timeoutMs / 100) / 10} s.`)
  try {
    return await Promise.race([call(target, way, signal, late), lateBy(signal, late)])
  } catch {
    // What an error says may hold what was sent.
    return unreached('The call failed.')
  }
}

async function call(target: CheckedTarget, { prover, destinations }: Way, signal: AbortSignal, late: ProviderFinding) {
  const { provider, credential } = target
  const egress = egressOf(provider)
  if ('missing' in egress) return unreached(egress.missing)
  const listing = listingOf(provider)
  if (!listing) return unreached('It has no call that costs nothing, so it was not called.')
  const { url, headers } = listing
  const destination = await destinations.of(provider, url)
  if (destination && 'barred' in destination) return unreached(destination.barred)
  const { region } = provider
  const proof = await prover.prove({ provider, credential, region, headers, body: '', method: 'GET' }, url)
  if ('missing' in proof) return unreached(proof.missing)
  try {
    return await ask({ listing, destination, egress, proof, isProven: credential !== null }, signal)
  } catch (error) {
    if (signal.aborted) return late
    const { host } = new URL(url)
    if (!(await Promise.race([destinations.finds(provider, url), Bun.sleep(lookupMsMax).then(() => true)])))
      return unreached(`The name ${host} is not found.`)
    return unreached(sentenceOfFailure((error as { code?: string }).code ?? 'no connection', host))
  }
}

interface Call {
  listing: Listing
  destination: Destination | null
  egress: Egress
  proof: Proof
  isProven: boolean
}

async function ask({ listing, destination, egress, proof, isProven }: Call, signal: AbortSignal) {
  const beganMs = performance.now()
  const answer = await fetch(addressed(listing.url, destination), {
    headers: { ...listing.headers, ...proof.headers, ...(destination?.host && { host: destination.host }) },
    redirect: 'manual',
    signal,
    ...egress,
    ...(destination?.serverName && { tls: { ...egress.tls, serverName: destination.serverName } }),
  })
  const { status } = answer
  const seen = { status, latencyMs: Math.round(performance.now() - beganMs) }
  if (status !== 200) {
    // Broken off at once: what it says is neither read nor kept.
    await answer.body?.cancel()
    return { ...unreached(sentenceOf(status, isProven)), ...seen }
  }
  const text = await boundedText(answer.body)
  if (text === undefined) return { ...unreached(`Its list of models is larger than ${listBytesMax} bytes.`), ...seen }
  return listing.lists ? listed(text, seen, proof) : { ...unreached(unlisted), ...seen, ok: true }
}

const unlisted = 'It took the credential. It has no list of models.'

function listed(text: string, seen: Pick<ProviderFinding, 'status' | 'latencyMs'>, proof: Proof): ProviderFinding {
  const names = modelNames(text)
  if (!names) return { ...unreached('It answered, but no list of models. Is its base URL right?'), ...seen }
  const scrub = scrubber(proof)
  // Cut behind the scrubbing: half a secret would not be found.
  const shown = (name: string) => scrub(name).slice(0, nameLengthMax)
  const detail =
    names.length > checkedModelsMax ? `It lists more than ${checkedModelsMax} models; these are the first.` : null
  return { ok: true, ...seen, detail, models: names.slice(0, checkedModelsMax).map(shown) }
}

/** Undefined where there is more than may be; throws where the connection breaks or the time is over. */
async function boundedText(body: ReadableStream<Uint8Array> | null): Promise<string | undefined> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of body ?? []) {
    length += chunk.length
    if (length > listBytesMax) return undefined
    chunks.push(chunk)
  }
  return new TextDecoder().decode(Buffer.concat(chunks))
}

/** Proving may wait for token services, and lookups for name servers, neither of which hears the signal. */
function lateBy(signal: AbortSignal, late: ProviderFinding): Promise<ProviderFinding> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(late)
    // A little later than the fetch itself hears it, which ends the connection.
    signal.addEventListener('abort', () => setTimeout(() => resolve(late), 250), { once: true })
  })
}
