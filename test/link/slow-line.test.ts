import { afterEach, describe, expect, it } from 'vitest'
import { hashKey, mintKey } from '../../schema/key-table.ts'
import { narrowLine } from '../prove/parts/narrow-line.ts'
import { DomainDouble, makeInstallation } from './domain-double.ts'
import { endAll, makeFolder, type Plane, startControlPlane, startPlane, until } from './house.ts'

afterEach(endAll)

const begin = async () => {
  const domain = new DomainDouble()
  const control = startControlPlane(domain, await makeInstallation(Date.now()))
  return { domain, control, dataDir: makeFolder() }
}
const isRevoked = (plane: Plane, key: string) => plane.store.current().lookupKey(hashKey(key))?.revoked
const confirmed = (domain: DomainDouble, deltaNumber: number) =>
  domain.heartbeats.some(({ applied }) => applied[0]?.deltaNumber === deltaNumber)

describe('on a line of 64 kB a second', () => {
  it('a revocation and its confirmation pass a backlog of records by, and the link stays up', async () => {
    const { domain, control, dataDir } = await begin()
    const key = mintKey('slk')
    domain.setKey(key, false)
    const line = await narrowLine(control.port, 64 * 1024)
    const plane = await startPlane({ url: line.url, dataDir, tenant: domain.tenant })
    await until('the key', () => isRevoked(plane, key) === false)
    plane.journal.append(1_000, 2_000)
    const taken = () => domain.records.get('1')?.length ?? 0
    await until('records under way', () => taken() > 0, 15_000)
    const before = taken()
    domain.setKey(key, true)
    await until('the revocation', () => isRevoked(plane, key), 15_000)
    await until('its confirmation', () => confirmed(domain, 2), 15_000)
    // What was under way may come first; the backlog of 2 MB may not.
    expect((taken() - before) * 2_000).toBeLessThan(512 * 1024)
    expect(taken()).toBeLessThan(1_000)
    expect(plane.link.status()).toMatchObject({ state: 'open', epoch: 1 })
    await plane.stop()
    line.close()
  })
})

describe('where records are taken slowly', () => {
  it('heartbeats are answered and noted meanwhile', async () => {
    const { domain, control, dataDir } = await begin()
    const key = mintKey('slk')
    domain.setKey(key, false)
    const plane = await startPlane({ url: control.url, dataDir, tenant: domain.tenant })
    await until('the key', () => isRevoked(plane, key) === false)
    const gate = Promise.withResolvers<void>()
    const { acceptRecords } = domain
    domain.acceptRecords = async (...given) => {
      await gate.promise
      return acceptRecords(...given)
    }
    plane.journal.append(10)
    domain.setKey(key, true)
    await until('the confirmation of a revocation', () => confirmed(domain, 2))
    expect(domain.records.get('1')).toBeUndefined()
    gate.resolve()
    expect(await plane.link.flush(5_000)).toBe(true)
  })
})
