import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CsvRecord, csvBounds, csvRecords } from './csv.ts'

async function read(...chunks: string[]): Promise<CsvRecord[]> {
  const records: CsvRecord[] = []
  for await (const record of csvRecords(chunks)) records.push(record)
  return records
}
const cells = async (...chunks: string[]) =>
  (await read(...chunks)).map((record) => ('cells' in record ? record.cells : record.wrong))

const quoted = (cell: string) => (/[",\r\n]/.test(cell) || cell === '' ? `"${cell.replaceAll('"', '""')}"` : cell)

describe('CSV', () => {
  it('reads what RFC 4180 may write, wherever the text is cut', async () => {
    const cell = fc.string({ unit: fc.constantFrom('a', '"', ',', '\n', '\r', 'é', '💶', ' '), maxLength: 6 })
    const table = fc.array(fc.array(cell, { minLength: 2, maxLength: 4 }), { minLength: 1, maxLength: 5 })
    await fc.assert(
      fc.asyncProperty(table, fc.constantFrom('\n', '\r\n'), fc.nat(), fc.boolean(), async (rows, end, cut, last) => {
        const text = rows.map((row) => row.map(quoted).join(',')).join(end) + (last ? end : '')
        const at = cut % (text.length + 1)
        // Between the halves of one character no decoder cuts.
        if (/^[\udc00-\udfff]/.test(text.slice(at))) return
        expect(await cells(text.slice(0, at), text.slice(at))).toEqual(rows)
      }),
    )
  })

  it('tells the line that each record begins on, also behind line breaks within quotes', async () => {
    const records = await read('a,b\r\n"1\n2",x\r\n\r\ny,z\n')
    expect(records.map(({ line }) => line)).toEqual([1, 2, 5])
  })

  it('reads semicolons and tabs where the first line has them, and forgets a byte order mark', async () => {
    expect(await cells('\uFEFFdate;cost\n2026-01-01;1,5\n')).toEqual([
      ['date', 'cost'],
      ['2026-01-01', '1,5'],
    ])
    expect(await cells('a\tb,c\td\n')).toEqual([['a', 'b,c', 'd']])
  })

  it('says where a quote is out of place, and never holds more than a cell may be long', async () => {
    expect(await read('a,b\n"x"y,1\n')).toContainEqual({ line: 2, wrong: expect.stringContaining('closing quote') })
    expect(await read('a,b\n"x,1\n')).toContainEqual({ line: 2, wrong: expect.stringContaining('never closed') })
    expect(await read('a,b\n"', 'x'.repeat(csvBounds.cellCharactersMax + 1))).toContainEqual({
      line: 2,
      wrong: expect.stringContaining('is a quote not closed'),
    })
    expect(await read(`a,b\n${'x,'.repeat(csvBounds.cellsMax + 1)}`)).toContainEqual({
      line: 2,
      wrong: expect.stringContaining('cells'),
    })
  })
})
