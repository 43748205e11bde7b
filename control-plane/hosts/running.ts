import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../schema/clock.ts'
import { startControlPlane } from '../main.ts'

export interface Answer {
  status: number
  // biome-ignore lint/suspicious/noExplicitAny: an answer's shape is what its test asserts.
  data: any
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  errors: any[] | undefined
}

/** For tests: a whole control plane in a directory of its own, and ways to ask it. */
export interface Running {
  url: string
  socketUrl: string
  token: string
  faults: string[]
  ask(query: string, variables?: object, token?: string): Promise<Answer>
  stop(): Promise<void>
}

export async function runControlPlane(): Promise<Running> {
  const dataDir = mkdtempSync(join(tmpdir(), 'sluice-host-'))
  const faults: string[] = []
  const started = await startControlPlane({
    dataDir,
    databaseUrl: null,
    masterKey: null,
    host: '127.0.0.1',
    port: 0,
    clock: systemClock,
    log: (level, sentence) => level === 'error' && faults.push(sentence),
  })
  if ('refused' in started) throw new Error(started.refused)
  const { url } = started
  const token = readFileSync(join(dataDir, 'admin-token'), 'utf8').trim()
  return {
    url,
    socketUrl: `${url.replace('http', 'ws')}/graphql`,
    token,
    faults,
    ask: (query, variables = {}, asked = token) => post(url, JSON.stringify({ query, variables }), asked),
    async stop() {
      await started.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** One POST, as it is. */
export async function post(
  url: string,
  body: string,
  token?: string,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(`${url}/graphql`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/graphql-response+json',
      ...(token && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    body,
  })
  const text = await response.text()
  const answer = text.startsWith('{') ? (JSON.parse(text) as { data?: unknown; errors?: unknown[] }) : {}
  return { status: response.status, data: answer.data, errors: answer.errors }
}
