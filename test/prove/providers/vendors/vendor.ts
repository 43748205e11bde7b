import type { Failure, Heard, Score, Usage } from '../scenes.ts'

// biome-ignore lint/suspicious/noExplicitAny: the bodies of five protocols, read member by member
export type Json = any

/** One vendor's documented protocol, as it would serve it. */
export interface Vendor {
  name: string
  /** Which counts it tells apart. */
  kinds: readonly (keyof Usage)[]
  /** Whether its answers hold the reasoning. */
  thoughtsShown: boolean
  /** Path, headers and credential: undefined, or what is wrong with them. */
  door(request: Request, body: string): Promise<Wrong | undefined> | Wrong | undefined
  hear(body: Json, request: Request): Heard
  /** The whole of a plain answer. */
  tell(score: Score, model: string): object
  /** Every piece of a stream, the failure in it included. */
  stream(score: Score, model: string): (string | Uint8Array)[]
  error(failure: Failure): object
  errorHeaders?(failure: Failure): Record<string, string>
  streamType: string
}

export interface Wrong {
  status: number
  message: string
}

/** Notes members that a protocol does not have, as a strict vendor would refuse them. */
export function strangers(value: Json, known: string, where: string, faults: string[]): void {
  if (typeof value !== 'object' || value === null) {
    faults.push(`${where}: is no object`)
    return
  }
  const names = known.split(' ')
  for (const name of Object.keys(value)) if (!names.includes(name)) faults.push(`${where}: unknown field '${name}'`)
}

/** `data:image/png;base64,…` apart. */
export function dataUrl(url: unknown, faults: string[]): { mediaType: string; data: string }[] {
  const [, mediaType, data] = /^data:([a-z0-9/+.-]+);base64,([A-Za-z0-9+/=]+)$/.exec(String(url)) ?? []
  if (!mediaType || !data) faults.push('an image is no data URL')
  return mediaType && data ? [{ mediaType, data }] : []
}

export function parsed(text: unknown, faults: string[]): unknown {
  try {
    if (typeof text === 'string') return JSON.parse(text)
  } catch {
    // Told below.
  }
  faults.push('arguments are not JSON in a string')
  return undefined
}

/** A JSON schema that closes its objects and requires all of them, as strict modes want it. */
export function strictSchema(schema: Json, faults: string[]): void {
  if (schema?.type !== 'object') return
  const names = Object.keys(schema.properties ?? {})
  if (schema.additionalProperties !== false) faults.push('a strict schema must close its objects')
  if (!names.every((name) => schema.required?.includes(name)))
    faults.push('a strict schema must require all properties')
}

export const sse = (data: object | string, name?: string) =>
  `${name ? `event: ${name}\n` : ''}data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`

/** The first half of an answer that fails or breaks off within. */
export function firstHalf<T>(events: T[]): T[] {
  return events.slice(0, Math.ceil(events.length / 2))
}
