import canonicalize from 'canonicalize'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { SnapshotRequestLabel } from '../../schema/snapshot.ts'
import { answers } from '../real/answers.ts'
import { type ScriptedUpstream, scriptedUpstream } from '../real/scripted-upstream.ts'
import { hello, labelOf, type Setup, startGateway, type TestGateway } from './gateway.ts'

let upstream: ScriptedUpstream
let gateway: TestGateway
const running: TestGateway[] = []

async function start(labels: SnapshotRequestLabel[], setup: Partial<Setup> = {}): Promise<void> {
  const alter: Setup['alter'] = (config) => void config.requestLabels.push(...labels)
  gateway = await startGateway({ baseUrl: `${upstream.url}/v1`, alter, ...setup })
  running.push(gateway)
  upstream.otherwise(answers.chat('ok'))
}

beforeAll(async () => {
  upstream = await scriptedUpstream()
})
afterEach(async () => {
  for (const each of running.splice(0)) {
    expect(each.faults).toEqual([])
    await each.stop()
  }
  upstream.reset()
})
afterAll(() => upstream.stop())

const ask = async (labels: string | null, body: object = {}) => {
  const answer = await gateway.chat(
    { ...hello, ...body },
    labels === null ? {} : { headers: { 'x-sluice-labels': labels } },
  )
  const { error } = await answer.json()
  return { status: answer.status, code: error?.code ?? null, message: error?.message as string }
}
const recorded = async (count = 1) => (await gateway.records(count)).at(-1)!.requestLabels

describe('request labels', () => {
  it('come from the header, in any order, and stand in the record in one', async () => {
    await start([labelOf('step'), labelOf('case')])
    expect(await ask(' step = c%2Cd , case=b')).toMatchObject({ status: 200 })
    expect(await recorded()).toEqual({ case: 'b', step: 'c,d' })
    const [text] = gateway.recorder.next((await gateway.records(1))[0]!.tenant, 1, 0, { records: 1, bytes: 1e6 })
    expect(canonicalize(JSON.parse(text!))).toBe(text)
  })

  it('come from the members of the body that their declaration names, after the header, and the body stays', async () => {
    await start([labelOf('case', { from: ['metadata.case', 'user'] }), labelOf('end-user', { from: ['user'] })])
    const body = { metadata: { case: 'm', other: 'x' }, user: 'u' }
    expect(await ask(null, body)).toMatchObject({ status: 200 })
    expect(await recorded()).toEqual({ case: 'm', 'end-user': 'u' })
    expect(upstream.requests[0]!.member('metadata')).toEqual(body.metadata)
    await ask('case=h', body)
    expect(await recorded(2)).toEqual({ case: 'h', 'end-user': 'u' })
    await ask(null, { metadata: null, user: 'u' })
    expect(await recorded(3)).toEqual({ case: 'u', 'end-user': 'u' })
  })

  it('that the key binds win over what a client says, declared or not', async () => {
    await start([labelOf('case', { from: ['user'] })], { grant: { requestLabels: { case: 'bound', also: 'here' } } })
    expect(await ask('case=mine,also=mine', { user: 'mine' })).toMatchObject({ status: 200 })
    expect(await recorded()).toEqual({ also: 'here', case: 'bound' })
  })

  it('that nobody declared are refused in the header by name, and ignored in the body', async () => {
    await start([labelOf('case')])
    const refused = await ask('csae=b')
    expect(refused).toMatchObject({ status: 400, code: 'malformed_request' })
    expect(refused.message).toContain('csae is not a declared label; there is case.')
    expect(await ask(null, { metadata: { case: 'b' }, user: 'u' })).toMatchObject({ status: 200 })
    expect(await recorded(2)).toEqual({})
  })

  it.each([
    ['case', 'cannot be read'],
    ['=b', 'cannot be read'],
    ['case=b,,step=c', 'cannot be read'],
    ['case=b;step', 'case'],
    ['case=a,case=b', 'holds case twice'],
    ['case=%zz', 'percent-encoded'],
    ['case=', '1 to 256 characters'],
    [`case=${'x'.repeat(257)}`, '1 to 256 characters'],
    ['case=%00', '1 to 256 characters'],
    [`case=${'x'.repeat(5_000)}`, 'longer than 4096 characters'],
  ])('are refused where the header is %s, with a sentence', async (header, sentence) => {
    await start([labelOf('case', { values: ['b'] })])
    const refused = await ask(header)
    expect([400, 403]).toContain(refused.status)
    expect(refused.message).toContain(sentence)
    expect(refused.message).toMatch(/\.$/)
    expect(upstream.requests).toHaveLength(0)
  })

  it('of the body that are no text are refused by the name of their member', async () => {
    await start([labelOf('case', { from: ['metadata.case'] })])
    const refused = await ask(null, { metadata: { case: { deep: 1 } } })
    expect(refused).toMatchObject({ status: 400, code: 'malformed_request' })
    expect(await ask(null, { metadata: 'text' })).toMatchObject({ status: 200 })
  })

  it('that are required or limited to values are refused with what is missing or allowed', async () => {
    await start([labelOf('case', { required: true, values: ['a', 'b'], from: ['metadata.case'] })])
    const missing = await ask(null)
    expect(missing).toMatchObject({ status: 403, code: 'request_not_allowed' })
    expect(missing.message).toContain(
      "The label case is missing; send it as x-sluice-labels: case=… or as 'metadata.case' in the body. It is one of a, b.",
    )
    const wrong = await ask('case=secret-name')
    expect(wrong).toMatchObject({ status: 403, code: 'request_not_allowed' })
    expect(wrong.message).toContain('This value of the label case is not allowed. It is one of a, b.')
    expect(wrong.message).not.toContain('secret-name')
    expect(await ask('case=a')).toMatchObject({ status: 200 })
  })

  it('beyond their number of values are recorded as overflow', async () => {
    await start([labelOf('case', { maxValues: 2 })])
    for (const value of ['a', 'b', 'c', 'a']) await ask(`case=${value}`)
    const values = (await gateway.records(4)).map(({ requestLabels }) => requestLabels.case)
    expect(values).toEqual(['a', 'b', '(overflow)', 'a'])
  })

  it('that name a person are recorded as a pseudonym: the same for the same person, and no name anywhere', async () => {
    const person = labelOf('person', { subject: true, from: ['user'] })
    await start([person], { pseudonymKey: new Uint8Array(32).fill(7) })
    await ask('person=alice%40example.com')
    await ask(null, { user: 'alice@example.com' })
    await ask('person=bob')
    const [one, same, other] = await gateway.records(3)
    expect(one!.requestLabels.person).toMatch(/^~[A-Za-z0-9_-]{22}$/)
    expect(same!.requestLabels.person).toBe(one!.requestLabels.person)
    expect(other!.requestLabels.person).not.toBe(one!.requestLabels.person)
    await start([person], { pseudonymKey: new Uint8Array(32).fill(8) })
    await ask('person=alice%40example.com')
    expect((await recorded()).person).not.toBe(one!.requestLabels.person)
  })

  it('that name a person do not tell the names that are allowed', async () => {
    const person = labelOf('person', { subject: true, required: true, values: ['alice'] })
    await start([person], { pseudonymKey: new Uint8Array(32).fill(7) })
    for (const header of [null, 'person=bob']) {
      const { status, message } = await ask(header)
      expect([status, message.includes('alice')]).toEqual([403, false])
    }
  })

  it('that name a person are refused where no pseudonym can be made, and the name is not recorded', async () => {
    await start([labelOf('person', { subject: true })])
    expect(await ask('person=alice')).toMatchObject({ status: 503, code: 'policy_unavailable' })
    expect(await recorded()).toEqual({})
    await start([labelOf('person', { subject: true })], { grant: { requestLabels: { person: 'alice' } } })
    expect(await ask(null)).toMatchObject({ status: 503, code: 'policy_unavailable' })
    expect(await recorded()).toEqual({})
  })
})
