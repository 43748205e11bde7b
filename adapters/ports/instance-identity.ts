import { type KeyObject, sign } from 'node:crypto'
import { join } from 'node:path'
import { z } from 'zod'
import { unwrapContentKey } from '../../air-gap/envelope.ts'
import { type GapRefusal, isGapRefusal } from '../../air-gap/refusal.ts'
import { openFirstRoot, type VerifiedRoot } from '../../air-gap/trust-root.ts'
import { dsse } from '../../schema/link.ts'
import { machineBootId } from './instance-boot.ts'
import { enrollInstance } from './instance-enroll.ts'
import { makePrivateFolder, readIfPresent, readJson, writeDurably } from './instance-files.ts'
import { type InstanceKeys, openKeys } from './instance-keys.ts'
import { lockDataDir } from './instance-lock.ts'

/** Who this process is to the control plane. Its private keys are used here and shown to nobody. */
export interface InstanceIdentity {
  readonly instance: string
  readonly dataPlane: string
  /** This run of the machine. */
  readonly bootId: string
  /** Counts the starts on this data directory, from 1. */
  readonly incarnation: number
  /** The pinned trust root. */
  root(): VerifiedRoot
  /** Pins a root that was reached by rotation from the present one. */
  pinRoot(root: VerifiedRoot): void
  /** Ed25519 over the statement, base64. */
  sign(statement: Uint8Array): string
  /** Opens a content key that is wrapped for this instance. */
  unwrap(wrapped: string): Promise<KeyObject | GapRefusal>
  /** Gives up the data directory. */
  close(): void
}

export interface InstanceOptions {
  dataDir: string
  controlUrl: string
  /** Of `dataPlaneEnroll`; needed only until the instance is enrolled. */
  token: string | null
  host: string
  version: string
  /** How long an unreachable control plane is asked at the first start. */
  enrolWaitMs?: number
  /** Hears at each attempt why it is still being waited for. */
  waiting?: (sentence: string) => void
  signal?: AbortSignal
}

const enrolled = z.object({ instance: z.string().min(1).max(64), dataPlane: z.string().min(1).max(64) })

/** Opens the identity that a data directory holds, exclusively; the first time it makes keys and enrols. Refusals are sentences. */
export async function openInstance(options: InstanceOptions): Promise<InstanceIdentity | { refused: string }> {
  const { dataDir } = options
  makePrivateFolder(dataDir)
  const lock = lockDataDir(dataDir)
  if ('refused' in lock) return lock
  const opened = await openLocked(options, lock.release).catch((error) => {
    lock.release()
    throw error
  })
  if ('refused' in opened) lock.release()
  return opened
}

async function openLocked(
  options: InstanceOptions,
  release: () => void,
): Promise<InstanceIdentity | { refused: string }> {
  const { dataDir } = options
  const keys = await openKeys(dataDir)
  if ('refused' in keys) return keys
  const known = enrolled.safeParse(readJson(join(dataDir, 'instance.json'))).data
  const who = known ?? (await enrol(options, keys))
  if ('refused' in who) return who
  const pinned = readPinnedRoot(dataDir)
  if ('refused' in pinned) return pinned
  let root = pinned
  return {
    instance: who.instance,
    dataPlane: who.dataPlane,
    bootId: machineBootId(),
    incarnation: nextIncarnation(dataDir),
    root: () => root,
    pinRoot(newer) {
      writeDurably(join(dataDir, 'trust-root.json'), JSON.stringify(newer.sealed))
      root = newer
    },
    sign: (statement) => sign(null, statement, keys.signing).toString('base64'),
    unwrap: (wrapped) => unwrapContentKey(wrapped, keys.encryption),
    close: release,
  }
}

async function enrol(options: InstanceOptions, keys: InstanceKeys) {
  const { controlUrl, token, host, version, waiting, signal } = options
  if (!token) return { refused: `This gateway is not enrolled yet. Give it an enrolment token in SLUICE_PLANE_TOKEN.` }
  const answer = await enrollInstance({
    controlUrl,
    request: { token, signingKey: keys.signingPublic, encryptionKey: keys.recipient, host, version },
    waitMs: options.enrolWaitMs ?? 60_000,
    waiting,
    signal,
  })
  if ('refused' in answer) return answer
  // The root first: an instance without one would trust nobody, an identity is what says that enrolment is complete.
  writeDurably(join(options.dataDir, 'trust-root.json'), JSON.stringify(answer.trustRoot))
  const { instance, dataPlane } = answer
  writeDurably(join(options.dataDir, 'instance.json'), JSON.stringify({ instance, dataPlane }))
  return { instance, dataPlane }
}

function readPinnedRoot(dataDir: string): VerifiedRoot | { refused: string } {
  const sealed = dsse.safeParse(readJson(join(dataDir, 'trust-root.json'))).data
  const root = sealed && openFirstRoot(sealed)
  if (root && !isGapRefusal(root)) return root
  return { refused: `The pinned trust root in ${dataDir} is missing or damaged. Restore it, or enrol again.` }
}

function nextIncarnation(dataDir: string): number {
  const path = join(dataDir, 'incarnation')
  const incarnation = (Number(readIfPresent(path)?.toString('utf8')) || 0) + 1
  writeDurably(path, String(incarnation))
  return incarnation
}
