import fc from 'fast-check'
import { expect, it } from 'vitest'
import type { Grant } from '../../schema/snapshot.ts'
import { GrantTable } from './grant-table.ts'

const grantOf = (name: string): Grant => ({
  ...{ team: null, project: name, principal: 'prn_1', aliases: null, requestLabels: {}, allowedAddresses: [] },
})

it('a row’s grant stays what it was, whoever comes and goes, and the list is as long as its fullest moment', () => {
  const moves = fc.array(fc.record({ name: fc.constantFrom(...'abcdefgh'), row: fc.nat(5), reopen: fc.boolean() }))
  fc.assert(
    fc.property(moves, (list) => {
      let table = new GrantTable()
      const rows = new Map<number, { name: string; index: number }>()
      let peak = 0
      for (const { name, row, reopen } of list) {
        const held = rows.get(row)
        if (held) expect(table.release(held.index)).toBe(true)
        rows.delete(row)
        if (held?.name !== name) rows.set(row, { name, index: table.hold(grantOf(name)) })
        const { grants, grantUses } = table.list()
        for (const one of rows.values()) expect(grants[one.index]!.project).toBe(one.name)
        expect(grantUses.reduce((sum, uses) => sum + uses, 0)).toBe(rows.size)
        peak = Math.max(peak, new Set([...rows.values()].map((one) => one.name)).size)
        expect(grants.length).toBeLessThanOrEqual(peak)
        if (reopen) table = new GrantTable(grants, grantUses)
      }
    }),
    { seed: 20_261_123, numRuns: 300 },
  )
})

it('what nobody holds cannot be let go of', () => {
  const table = new GrantTable()
  const index = table.hold(grantOf('a'))
  expect([table.release(index), table.release(index), table.release(7)]).toEqual([true, false, false])
})
