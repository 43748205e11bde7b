import { type Failed, isFailed, type Trouble } from '../trouble.ts'
import type { AskOptions, Client } from './client.ts'

/** A refusal in a payload, with what is needed to go on. */
export interface UserError {
  __typename: string
  code: string
  message: string
  path: string[]
  current?: number | string
  by?: { handle: string }[]
  holder?: { handle: string }
  permission?: string
  expected?: string
}

/** Selection of `errors` in every write. */
export const errorFields = /* GraphQL */ `
  errors {
    __typename code message path
    ... on StaleRevision { current }
    ... on StillReferenced { by { handle } }
    ... on NameTaken { holder { handle } }
    ... on NotPermitted { permission }
    ... on InvalidInput { expected }
  }`

const advices: Record<string, string> = {
  STALE_REVISION: 'someone changed it meanwhile: look again with `sluice diff`, then apply again',
  STALE_PLAN: 'something changed since the plan was shown: apply again and look at the new plan',
  NOT_PERMITTED: 'ask an administrator for it, or use another token',
  IDEMPOTENCY_KEY_REUSED: 'run the command again',
  NO_GATEWAY: 'start one with `bun start` or `sluice gateway`; `sluice doctor` tells which are connected',
  NOT_FOUND: 'is it spelled right, and declared in this tenant? `sluice dump -o name` lists all there is',
}

/** Where in the input an error is, told as a place people know: a file's line, or the option that was typed. */
export type Locate = (path: readonly string[]) => string | undefined

/** A write: its one field's payload, or its refusals (exit 3). `document` has one field named `write`. */
export async function write<Payload extends { errors: UserError[] }>(
  client: Client,
  document: string,
  input: Record<string, unknown>,
  options: AskOptions & { locate?: Locate },
): Promise<Payload | Failed> {
  const answer = await client.ask<{ write: Payload }>(document, { input }, options)
  if (isFailed(answer)) return answer
  const { errors } = answer.write
  if (errors.length === 0) return answer.write
  return { failed: errors.map((error) => troubleOf(error, options.locate)), exit: 3 }
}

function troubleOf(error: UserError, locate: Locate | undefined): Trouble {
  const by = error.by?.length ? ` It is named by ${error.by.map(({ handle }) => handle).join(', ')}.` : ''
  return {
    code: error.code,
    message: `${error.message}${by}`,
    where: locate?.(error.path) ?? (error.path.length > 0 ? error.path.join('.') : undefined),
    advice: error.code === 'STILL_REFERENCED' ? 'change or archive those too, in the same apply' : advices[error.code],
  }
}

/** One per command: kept across this command's own retries, so that a lost answer never mints twice. */
export function idempotencyKey(): string {
  return `cli-${crypto.randomUUID()}`
}
