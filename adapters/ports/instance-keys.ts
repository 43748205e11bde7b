import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { generateX25519Identity, identityToRecipient } from 'age-encryption'
import { z } from 'zod'
import { readJson, writeDurably } from './instance-files.ts'

/** An instance's private keys: Ed25519 to prove who it is, age to open what is wrapped for it. They never leave the machine. */
export interface InstanceKeys {
  signing: KeyObject
  /** PEM (SPKI) of the public half. */
  signingPublic: string
  /** `AGE-SECRET-KEY-1…` */
  encryption: string
  /** `age1…` */
  recipient: string
}

const keyFile = z.strictObject({ signingKey: z.string().max(1_000), encryptionKey: z.string().max(500) })

/** Reads the keys of a data directory, or makes them. A key file that others may read, or that is broken, is a refusal. */
export async function openKeys(dataDir: string): Promise<InstanceKeys | { refused: string }> {
  const path = join(dataDir, 'instance.key')
  const mode = statSync(path, { throwIfNoEntry: false })?.mode
  if (mode === undefined) return makeKeys(path)
  if (mode & 0o077) return { refused: `Others may read ${path}. Make it private with: chmod 600 ${path}` }
  const stored = keyFile.safeParse(readJson(path)).data
  const keys = stored && (await readKeys(stored.signingKey, stored.encryptionKey))
  return keys ?? { refused: `${path} is damaged. Restore it, or remove the data directory and enrol again.` }
}

async function makeKeys(path: string): Promise<InstanceKeys> {
  const { privateKey } = generateKeyPairSync('ed25519')
  const signingKey = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
  const encryptionKey = await generateX25519Identity()
  writeDurably(path, JSON.stringify({ signingKey, encryptionKey }), 0o600)
  return (await readKeys(signingKey, encryptionKey))!
}

async function readKeys(signingKey: string, encryption: string): Promise<InstanceKeys | undefined> {
  try {
    const signing = createPrivateKey(signingKey)
    const signingPublic = createPublicKey(signing).export({ type: 'spki', format: 'pem' }).toString()
    return { signing, signingPublic, encryption, recipient: await identityToRecipient(encryption) }
  } catch {
    return undefined
  }
}
