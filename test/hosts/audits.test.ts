import { auditServer } from 'graphql-http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Hosted, hosts } from './hosts.ts'

/** Audits of graphql-http that may fail, by their text, each with the reason. There are none. */
const exceptions: Record<string, string> = {}

describe.each(Object.entries(hosts))("graphql-http's audits of GraphQL over HTTP, on %s", (_, open) => {
  let host: Hosted
  beforeAll(async () => {
    host = await open()
  })
  afterAll(() => host?.stop())

  it('find nothing but what is listed, and no MUST', async () => {
    const signedIn = (url: string, init: RequestInit = {}) =>
      fetch(url, { ...init, headers: { ...(init.headers as object), authorization: `Bearer ${host.token}` } })
    const results = await auditServer({ url: `${host.url}/graphql`, fetchFn: signedIn })
    expect(results.length).toBeGreaterThanOrEqual(61)
    const failed = results.filter(({ status }) => status !== 'ok').map(({ id, name }) => `${id} ${name}`)
    expect(failed).toEqual(Object.keys(exceptions))
    expect(failed.filter((name) => name.includes('MUST'))).toEqual([])
    expect(host.faults()).toEqual([])
  })
})
