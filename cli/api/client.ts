import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Io } from '../io.ts'
import { readSettings, type Settings } from '../settings.ts'
import { type Failed, failed, isFailed, type Trouble } from '../trouble.ts'

/** Where the control plane answers, the admin token to send, and the tenant to act in; null = the token's own. */
export interface Access {
  controlUrl: string
  token: string
  tenant: string | null
}

/** What names the tenant, as a header or in the hello of a socket. */
export const tenantHeader = ({ tenant }: Pick<Access, 'tenant'>): Record<string, string> =>
  tenant === null ? {} : { 'x-sluice-tenant': tenant }

/** Asks the control plane. Transport, sign-in and document errors come back as troubles, never as exceptions. */
export interface Client extends Access {
  ask<T>(document: string, variables?: Record<string, unknown>, options?: AskOptions): Promise<T | Failed>
}

export interface AskOptions {
  /**
   * `ALWAYS`: asking twice does no harm, as for queries and for writes that carry an idempotency key. `UNSENT`: only where the
   * request cannot have arrived.
   */
  retry: 'ALWAYS' | 'UNSENT'
}

const attemptsMax = 4
const timeoutMs = 60_000

/** The settings, or why they cannot be read. */
export function settingsOf(io: Io): Settings | Failed {
  const read = readSettings(io.env)
  if (!('wrong' in read)) return read.settings
  return { failed: read.wrong.map((message) => ({ code: 'BAD_SETTING', message })), exit: 1 }
}

/** The token and address of this installation: from the environment, else from what `sluice up` left in the data directory. */
export function findAccess(settings: Settings): Access | Failed {
  const token = settings.adminToken ?? readLine(join(settings.dataDir, 'admin-token'))
  const controlUrl =
    settings.controlUrl ?? readLine(join(settings.dataDir, 'control-url')) ?? `http://127.0.0.1:${settings.port}`
  if (token) return { controlUrl: controlUrl.replace(/\/+$/, ''), token, tenant: settings.tenant }
  return failed('NO_TOKEN', `There is no admin token in ${settings.dataDir}, nor in SLUICE_ADMIN_TOKEN.`, {
    advice: 'start Sluice here with `bun start`, or set SLUICE_ADMIN_TOKEN_FILE and SLUICE_CONTROL_URL',
  })
}

function readLine(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim() || undefined
  } catch {
    return undefined
  }
}

/** A client of this installation's control plane. */
export function openClient(io: Io): Client | Failed {
  const settings = settingsOf(io)
  if (isFailed(settings)) return settings
  const access = findAccess(settings)
  return isFailed(access) ? access : clientOf(access)
}

export function clientOf(access: Access): Client {
  return {
    ...access,
    async ask<T>(document: string, variables = {}, { retry }: AskOptions = { retry: 'ALWAYS' }) {
      for (let attempt = 1; ; attempt++) {
        const answer = await askOnce<T>(access, JSON.stringify({ query: document, variables }))
        const again = 'failure' in answer && (answer.unsent || (retry === 'ALWAYS' && answer.mayPass))
        if (!again || attempt === attemptsMax) return 'failure' in answer ? answer.failure : answer.data
        await Bun.sleep(100 * 2 ** attempt * (0.5 + Math.random() / 2))
      }
    },
  }
}

interface Unanswered {
  failure: Failed
  /** The request cannot have been carried out. */
  unsent: boolean
  /** The same request may succeed a little later. */
  mayPass: boolean
}

interface GraphqlError {
  message: string
  path?: (string | number)[]
  extensions?: { code?: string; requestId?: string; retryable?: boolean }
}

async function askOnce<T>(access: Access, body: string): Promise<{ data: T } | Unanswered> {
  let response: Response
  let text: string
  try {
    response = await fetch(`${access.controlUrl}/graphql`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${access.token}`,
        ...tenantHeader(access),
        'content-type': 'application/json',
        accept: 'application/graphql-response+json, application/json',
      },
      body,
      redirect: 'error',
      signal: AbortSignal.timeout(timeoutMs),
    })
    text = await response.text()
  } catch (error) {
    return unreachable(access, error)
  }
  const requestId = response.headers.get('x-sluice-request-id') ?? undefined
  const answer = parse<T>(text)
  if (!answer) return notGraphql(access, response, requestId)
  if (!answer.errors?.length && answer.data) return { data: answer.data }
  const errors = answer.errors ?? []
  return {
    failure: { failed: errors.map((error) => troubleOf(error, requestId)), exit: errors.some(isRefusal) ? 3 : 1 },
    unsent: false,
    mayPass: errors.length > 0 && errors.every(mayPass),
  }
}

/** A quota is not there again within the little while that is waited here. */
const mayPass = ({ extensions }: GraphqlError) => extensions?.retryable === true && extensions.code !== 'RATE_LIMITED'

function parse<T>(text: string): { data?: T; errors?: GraphqlError[] } | undefined {
  try {
    const answer: unknown = JSON.parse(text)
    const known = typeof answer === 'object' && answer !== null && ('data' in answer || 'errors' in answer)
    return known ? (answer as { data?: T; errors?: GraphqlError[] }) : undefined
  } catch {
    return undefined
  }
}

const advices: Record<string, string> = {
  UNAUTHENTICATED:
    'the token in use is unknown, revoked or expired: set SLUICE_ADMIN_TOKEN, or start Sluice here again',
  NOT_PERMITTED: 'ask an administrator; `sluice key list` shows which permissions a key has',
  UNKNOWN_TENANT:
    'the token in use must be of an operator of the installation; without --tenant and SLUICE_TENANT it acts at home',
  RATE_LIMITED: 'wait for a minute; SLUICE_API_QUOTA of the control plane sets the limit',
  TOO_COMPLEX: 'ask for less at once',
  UNAVAILABLE: 'try again; `sluice doctor` tells what is wrong',
  INTERNAL: 'the log of the control plane tells more under this request id',
  BAD_DOCUMENT: 'is the control plane of another version than this CLI?',
}

const refusals = new Set(['UNAUTHENTICATED', 'NOT_PERMITTED', 'UNKNOWN_TENANT'])

function isRefusal({ extensions }: GraphqlError): boolean {
  return refusals.has(extensions?.code ?? '')
}

function troubleOf({ message, path, extensions }: GraphqlError, requestId: string | undefined): Trouble {
  const code = extensions?.code ?? 'INTERNAL'
  return {
    code,
    message,
    where: path?.join('.'),
    advice: advices[code],
    requestId: extensions?.requestId ?? requestId,
  }
}

/** Errors of a connection that never came about: nothing can have been sent. */
const neverOpened = new Set(['ConnectionRefused', 'ECONNREFUSED', 'ENOTFOUND', 'FailedToOpenSocket', 'DNSException'])

function unreachable(access: Access, error: unknown): Unanswered {
  const { code = '', name } = error as { code?: string; name?: string }
  const what = name === 'TimeoutError' ? `did not answer within ${timeoutMs / 1000} s` : 'does not answer'
  const failure = failed('UNREACHABLE', `The control plane at ${access.controlUrl} ${what}${code && ` (${code})`}.`, {
    advice:
      'is it running? `bun start` starts one here, SLUICE_CONTROL_URL names another, `sluice doctor` looks closer',
  })
  return { failure, unsent: neverOpened.has(code), mayPass: name !== 'TimeoutError' }
}

function notGraphql(access: Access, { status }: Response, requestId: string | undefined): Unanswered {
  const failure = failed('NOT_SLUICE', `${access.controlUrl}/graphql answered ${status} without GraphQL in it.`, {
    advice: 'does SLUICE_CONTROL_URL name a Sluice control plane?',
    requestId,
  })
  return { failure, unsent: false, mayPass: status >= 500 }
}
