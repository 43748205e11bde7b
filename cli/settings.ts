import { readFileSync } from 'node:fs'
import { parseDuration } from '../schema/duration.ts'

/** What a setting's text may be turned into, or one sentence on what is wrong with it. */
type Parsed<T> = { value: T } | { wrong: string }

interface Setting<T> {
  parse: (text: string) => Parsed<T>
  /** Holds where the variable is not set. */
  fallback: T
  /** For `--help` and the documentation. */
  description: string
  /** Never printed. */
  secret?: boolean
}

const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

const setting = <T>(
  description: string,
  fallback: T,
  parse: (text: string) => Parsed<T>,
  secret = false,
): Setting<T> => ({ description, fallback, parse, secret })

const wrong = (sentence: string) => ({ wrong: sentence })
const text = (value: string) => ({ value })

const port = (value: string): Parsed<number> =>
  /^\d{1,5}$/.test(value) && Number(value) <= 65_535
    ? { value: Number(value) }
    : wrong('is a port from 0 (any free one) to 65535')

const count =
  (least: number, most: number) =>
  (value: string): Parsed<number> =>
    /^\d{1,9}$/.test(value) && Number(value) >= least && Number(value) <= most
      ? { value: Number(value) }
      : wrong(`is a whole number from ${least} to ${most}`)

const url =
  (...protocols: string[]) =>
  (value: string): Parsed<string> =>
    protocols.includes(URL.parse(value)?.protocol ?? '')
      ? { value: value.replace(/\/+$/, '') }
      : wrong(`is a URL that begins with ${protocols.map((protocol) => `${protocol}//`).join(' or ')}`)

const byteUnits = { '': 1, KIB: 1024, MIB: 1024 ** 2, GIB: 1024 ** 3 }
const bytes = (value: string): Parsed<number> => {
  const [, digits, unit] = /^(\d{1,9}) ?(|KiB|MiB|GiB)$/i.exec(value) ?? []
  const size = digits ? Number(digits) * byteUnits[unit!.toUpperCase() as keyof typeof byteUnits] : 0
  return size >= 1024 && size <= byteUnits.GIB ? { value: size } : wrong('is a size from 1KiB to 1GiB, such as 32MiB')
}

const keep = (value: string): Parsed<number> => {
  const ms = parseDuration(value)
  return ms !== undefined && ms >= 86_400_000
    ? { value: ms }
    : wrong('is how long to keep them, at least 1d, such as 400d')
}

const hosts = (value: string): Parsed<string[]> => {
  const names = value.split(/[\s,]+/).filter(Boolean)
  const odd = names.find((name) => !/^[A-Za-z0-9*][A-Za-z0-9.:*/_-]*$/.test(name))
  return odd ? wrong('is a list of host names, addresses or CIDR ranges with commas between them') : { value: names }
}

/** A certificate or key: the PEM text itself, or the path of a file that holds it. */
const pem = (value: string): Parsed<string> => {
  if (value.startsWith('-----BEGIN ')) return { value }
  const held = readText(value)
  return held?.startsWith('-----BEGIN ') ? { value: held } : wrong('is PEM text, or the path of a PEM file')
}

const tenant = (value: string): Parsed<string> =>
  /^[\x21-\x7e]{1,200}$/.test(value) ? { value } : wrong('is the name or id of a tenant')

const level = (value: string): Parsed<LogLevel> =>
  logLevels.includes(value as LogLevel) ? { value: value as LogLevel } : wrong(`is one of ${logLevels.join(', ')}`)

/** Every environment variable that Sluice reads, once. Each `SLUICE_X` may also be given as a file, in `SLUICE_X_FILE`. */
const table = {
  databaseUrl: setting<string | null>(
    'postgres://… of the control plane; absent = the embedded PGlite',
    null,
    url('postgres:', 'postgresql:'),
    true,
  ),
  dataDir: setting('where everything local is kept', '.sluice', text),
  host: setting('address to listen on', '127.0.0.1', text),
  port: setting('port of the control plane', 4000, port),
  gatewayPort: setting('port of the gateway', 8080, port),
  opsPort: setting("port of the gateway's health and metrics", 8081, port),
  controlUrl: setting<string | null>('where the control plane answers', null, url('http:', 'https:')),
  adminToken: setting<string | null>('the sla_… token that this CLI sends', null, text, true),
  tenant: setting<string | null>('the tenant that this CLI acts in, by name or id; absent = its own', null, tenant),
  planeToken: setting<string | null>('the sle_… token with which a gateway enrols', null, text, true),
  masterKey: setting<string | null>('seals secrets at rest; absent = <data dir>/master.key', null, text, true),
  recordsKeep: setting<number | null>(
    'how long flight records are kept (whole months go); absent = for good',
    null,
    keep,
  ),
  workers: setting('gateway processes', 1, count(1, 256)),
  redisUrl: setting<string | null>(
    'redis://… or rediss://… where gateways count rate limits together',
    null,
    url('redis:', 'rediss:'),
    true,
  ),
  redisCa: setting<string | null>(
    'certificate authority of a rediss:// server; absent = those of the system',
    null,
    pem,
  ),
  apiQuota: setting('points that one caller of the API may spend a minute', 2_000_000, count(1_000, 999_999_999)),
  bodyLimit: setting('largest request body of the gateway', 32 * 1024 ** 2, bytes),
  privateHosts: setting<string[]>('private hosts that providers and webhooks may be at', [], hosts),
  log: setting<LogLevel>('how much is said on stderr', 'info', level),
  clock: setting<string | null>('tests only: a file that holds the time', null, text),
  tlsCert: setting<string | null>('certificate chain to serve TLS with', null, pem),
  tlsKey: setting<string | null>('private key of that certificate', null, pem, true),
  selfHostedUrl: setting<string | null>('a self-hosted model server that `up` declares', null, url('http:', 'https:')),
} as const satisfies Record<string, Setting<never> | Setting<unknown>>

type Table = typeof table
export type SettingName = keyof Table
export type Settings = { -readonly [Name in SettingName]: Table[Name] extends Setting<infer T> ? T : never }
export type Environment = Readonly<Record<string, string | undefined>>

export const settingNames = Object.keys(table) as SettingName[]

/** `gatewayPort` → `SLUICE_GATEWAY_PORT`. */
export function variableOf(name: SettingName): string {
  return `SLUICE_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`
}

/** Reads every setting; what is wrong with any of them is told at once, one sentence each, never with a secret in it. */
export function readSettings(env: Environment = process.env): { settings: Settings } | { wrong: string[] } {
  const settings: Record<string, unknown> = {}
  const sentences: string[] = []
  for (const name of settingNames) {
    const read = readSetting(name, env)
    if ('wrong' in read) sentences.push(read.wrong)
    else settings[name] = read.value
  }
  if (sentences.length === 0 && (settings.tlsCert === null) !== (settings.tlsKey === null))
    sentences.push('SLUICE_TLS_CERT and SLUICE_TLS_KEY go together; set both or neither.')
  return sentences.length > 0 ? { wrong: sentences } : { settings: settings as Settings }
}

function readSetting(name: SettingName, env: Environment): Parsed<unknown> {
  const { parse, fallback, secret } = table[name] as Setting<unknown>
  const variable = variableOf(name)
  const given = env[variable] || undefined
  const path = env[`${variable}_FILE`] || undefined
  if (given !== undefined && path !== undefined)
    return wrong(`${variable} and ${variable}_FILE are both set; keep one.`)
  if (given === undefined && path === undefined) return { value: fallback }
  const value = path === undefined ? given : readText(path)
  if (value === undefined) return wrong(`${variable}_FILE names ${path}, which cannot be read.`)
  const parsed = parse(value)
  if (!('wrong' in parsed)) return parsed
  return wrong(secret ? `${variable} ${parsed.wrong}.` : `${variable} ${parsed.wrong}, not ${JSON.stringify(value)}.`)
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch {
    return undefined
  }
}

const known = new Set(settingNames.flatMap((name) => [variableOf(name), `${variableOf(name)}_FILE`]))

/** Variables that begin with SLUICE_ and mean nothing here: most often a slip of the finger. */
export function unknownSettings(env: Environment = process.env): string[] {
  return Object.keys(env).filter((name) => name.startsWith('SLUICE_') && !known.has(name))
}

export interface SettingInForce {
  variable: string
  description: string
  /** What holds without it; '' = nothing does. */
  fallback: string
  /** What is set, from wherever; null = nothing is. A secret is only said to be there. */
  given: string | null
}

/** Every variable with what it is for, what holds without it, and what is set. */
export function describeSettings(env: Environment = process.env): SettingInForce[] {
  return settingNames.map((name) => {
    const { description, fallback, secret } = table[name] as Setting<unknown>
    const variable = variableOf(name)
    const path = env[`${variable}_FILE`]
    const given = path ? `in ${path}` : (env[variable] ?? null)
    return {
      variable,
      description,
      fallback: fallback === null ? '' : String(fallback),
      given: given && secret && !path ? '(set)' : given,
    }
  })
}
