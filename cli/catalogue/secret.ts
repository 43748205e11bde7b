import { existsSync } from 'node:fs'
import { isAbsolute, resolve } from 'node:path'
import type { Io } from '../io.ts'
import { type Failed, failed } from '../trouble.ts'

/** Keys of providers and of ours, by how they begin: seen on a command line, they are refused and never used. */
const looksSecret = /^(sk-|slk_|sla_|sle_|AIza|AKIA|xai-|gsk_)|^[A-Za-z0-9_-]{32,}$/

const secretBytesMax = 64 * 1024

/**
 * `env:NAME` or `file:/path`, where the gateway itself finds the secret. Relative paths are made absolute: the gateway runs
 * elsewhere.
 */
export function readLocator(typed: string): string | Failed {
  if (looksSecret.test(typed))
    return failed(
      'SECRET_IN_ARGUMENT',
      'A secret was typed as an argument, where other users and the shell history see it.',
      {
        advice:
          'treat it as leaked: replace it, then name where it is: --key env:NAME, --key file:/path, or --key-stdin',
      },
    )
  if (/^env:[A-Za-z_][A-Za-z0-9_]*$/.test(typed)) return typed
  if (/^file:./.test(typed)) {
    const path = typed.slice('file:'.length)
    return `file:${isAbsolute(path) ? path : resolve(path)}`
  }
  return failed('USAGE', '--key is env:NAME or file:/path.', { advice: 'or --key-stdin, which stores the key sealed' })
}

/** True where the locator leads to something here; the gateway may run elsewhere, so that this is only worth a warning. */
export function isThere(locator: string, io: Pick<Io, 'env'>): boolean {
  return locator.startsWith('env:') ? Boolean(io.env[locator.slice(4)]) : existsSync(locator.slice(5))
}

/** A secret from stdin, or typed unseen where stdin is a terminal. */
export async function readSecret(io: Io, question: string): Promise<string | Failed> {
  const given = io.isStdinTty ? await io.askSecret(question) : await io.readStdin(secretBytesMax)
  const secret = given?.trim()
  if (!secret)
    return failed('NO_SECRET', 'No secret came from standard input.', { advice: 'for example: sluice … < key.txt' })
  if (/[\s\p{Cc}]/u.test(secret) && !secret.startsWith('{') && !secret.startsWith('-----'))
    return failed(
      'BAD_SECRET',
      'The secret holds spaces or line breaks; only the secret itself belongs on standard input.',
    )
  return secret
}
