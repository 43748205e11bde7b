import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { formatAmount } from '../../schema/money.ts'
import { isFailed } from '../trouble.ts'
import { dayReader, intervalFor, piecesOf, windowOf } from './days.ts'
import { readAmount, readCount } from './figures.ts'
import { type Reading, readInvoice } from './read.ts'

const fixture = (name: string) => join(import.meta.dirname, 'fixtures', name)
const plainly: Reading = { columns: null, timeZone: null, currency: 'USD', rate: null, from: null, to: null }

/** `2026-01-01 gpt-4o cost 0.1 input 5 …`, what is zero left out. */
async function lines(name: string, reading: Partial<Reading> = {}) {
  const invoice = await readInvoice([fixture(name)], { ...plainly, ...reading })
  if (isFailed(invoice)) return invoice.failed
  const written = [...invoice.lines.values()].map(({ day, model, figures: { cost, ...tokens } }) => {
    const counts = Object.entries(tokens).filter(([, count]) => count > 0n)
    return [day, model, ...(cost ? ['cost', formatAmount(cost)] : []), ...counts.flat()].join(' ')
  })
  return [invoice.format, ...written]
}

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-invoice-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

describe("a provider's export", () => {
  it("is OpenAI's usage, whose cached tokens are not counted twice", async () => {
    expect(await lines('openai-usage.csv')).toEqual([
      "OpenAI's usage",
      '2026-01-01 gpt-4o-2024-08-06 input 13000 cached 2000 output 1000',
    ])
  })

  it("is OpenAI's costs, as CSV or as a page of the API, whatever digits floats left in it", async () => {
    expect(await lines('openai-costs.csv')).toEqual([
      "OpenAI's costs",
      '2026-01-01 gpt-4o-2024-08-06 cost 0.0425',
      '2026-01-02 web search tool calls cost 0.02',
    ])
    expect(await lines('openai-costs.json')).toEqual([
      "OpenAI's costs API",
      '2026-01-01 gpt-4o-2024-08-06 cost 0.0325001',
    ])
    expect(await readInvoice([fixture('openai-costs.json')], plainly)).toMatchObject({ isPart: true })
  })

  it("is Anthropic's usage or cost, as CSV or as a report of the API, which counts in cents", async () => {
    expect(await lines('anthropic-usage.csv')).toEqual([
      "Anthropic's usage",
      '2026-01-01 claude-haiku-4-5-20251001 input 1260 cached 5000 output 303',
    ])
    expect(await lines('anthropic-cost.csv')).toEqual([
      "Anthropic's cost",
      '2026-01-01 Claude Haiku 4.5 cost 1.75',
      '2026-01-02 without a model cost 0.1',
    ])
    expect(await lines('anthropic-cost.json')).toEqual([
      "Anthropic's cost report",
      '2026-01-01 claude-haiku-4-5-20251001 cost 1.255',
    ])
  })

  it("is an AWS report, of which Bedrock's usage alone counts, in thousands and millions of tokens", async () => {
    expect(await lines('aws-cur2.csv')).toEqual([
      "AWS's cost and usage report",
      '2026-01-01 Claude3Sonnet cost 0.05685 input 12500 cached 2000 output 1250',
      '2026-01-01 Claude Opus 4.1 cost 0.05 output 2000',
    ])
    const invoice = await readInvoice([fixture('aws-cur2.csv')], plainly)
    expect([...(invoice as { skipped: Map<string, number> }).skipped.values()]).toEqual([1, 1])
  })

  it('is an AWS report gzipped and with the titles of version 1, too', async () => {
    const text = readFileSync(fixture('aws-cur2.csv'), 'utf8')
    const titles =
      'lineItem/UsageStartDate,lineItem/LineItemType,lineItem/ProductCode,lineItem/UsageType,lineItem/UsageAmount,lineItem/UnblendedCost,lineItem/CurrencyCode,lineItem/LineItemDescription,product/ProductName,pricing/unit'
    const path = join(folder, 'cur.csv.gz')
    writeFileSync(path, gzipSync(titles + text.slice(text.indexOf('\n'))))
    expect(await readInvoice([path], plainly)).toMatchObject({ rows: 4 })
  })

  it('is a cost export of Azure, whose meters are named as they come', async () => {
    expect(await lines('azure.csv')).toEqual([
      "Azure's cost export",
      '2026-01-02 gpt 4o 0806 cost 0.04375 input 12500 cached 2000 output 1000',
    ])
  })

  it("is a report of Google Cloud's billing by day; the cost table of a month is refused with the way out", async () => {
    expect(await lines('google.csv')).toEqual([
      "Google Cloud's billing",
      '2026-01-01 gemini 2.5 flash cost 0.211721 input 622403 output 10000',
      '2026-01-01 Gemini 2.5 Flash Lite cost 0.00001 input 100',
    ])
    expect(await lines('google-cost-table.csv')).toMatchObject([
      {
        code: 'BAD_ROW',
        where: expect.stringMatching(/:3$/),
        advice: expect.stringContaining('grouped by day and SKU'),
      },
    ])
  })

  it('is a plain table, whose titles may be told', async () => {
    expect(await lines('plain.csv', { from: '2026-01-02' })).toEqual([
      'a plain table',
      '2026-01-02 gpt-4o cost 0.0027 input 1000 output 20',
    ])
    const columns = { date: 'Date', model: 'Model', cost: 'output tokens' }
    expect(await lines('plain.csv', { columns })).toContain('2026-01-01 gpt-4o cost 20 input 1000 output 20')
    expect(await lines('plain.csv', { columns: { date: 'Tag' } })).toMatchObject([{ code: 'UNKNOWN_EXPORT' }])
  })

  it('says of each bad row where it is, what is wrong and the way out', async () => {
    const troubles = (await lines('bad.csv')) as { where: string; message: string; advice: string }[]
    expect(troubles.map(({ where }) => where.slice(where.lastIndexOf(':')))).toEqual([':3', ':4', ':5'])
    expect(troubles.map(({ message }) => message)).toEqual([
      '"2026-02-31" in column "date" is no day.',
      'column "model" is empty.',
      '"1,5" in column "cost" is no number.',
    ])
    expect(troubles.every(({ advice }) => advice.length > 0)).toBe(true)
  })

  it('in another currency is refused, unless a rate is told', async () => {
    expect(await lines('anthropic-cost.csv', { currency: 'EUR' })).toMatchObject([
      { message: 'this is in USD, and the records are in EUR.' },
      {},
      {},
    ])
    expect(await lines('anthropic-cost.csv', { currency: 'EUR', rate: 500_000_000_000n })).toContain(
      '2026-01-01 Claude Haiku 4.5 cost 0.875',
    )
  })

  it('that is none, or is not there, is told', async () => {
    for (const [text, code] of [
      ['', 'UNKNOWN_EXPORT'],
      ['{"a":1}', 'BAD_EXPORT'],
      ['name,colour\nx,y\n', 'UNKNOWN_EXPORT'],
    ] as const) {
      writeFileSync(join(folder, 'none'), text)
      expect(await readInvoice([join(folder, 'none')], plainly)).toMatchObject({ failed: [{ code }] })
    }
    expect(await readInvoice([join(folder, 'nowhere')], plainly)).toMatchObject({ failed: [{ code: 'NO_FILE' }] })
  })

  it('takes several files of one kind, and not of two', async () => {
    const twice = await readInvoice([fixture('anthropic-cost.csv'), fixture('anthropic-cost.csv')], plainly)
    expect(twice).toMatchObject({ rows: 6 })
    const mixed = await readInvoice([fixture('anthropic-cost.csv'), fixture('anthropic-usage.csv')], plainly)
    expect(mixed).toMatchObject({ failed: [{ code: 'MIXED_EXPORTS' }] })
  })
})

describe('amounts of an export', () => {
  it('are read as spreadsheets, APIs and accountants write them', () => {
    const amounts = ['1', '$1,234.50', '1.2E-7', '.5', '(3.10)', '-0.1', '0.0600000000000000012', '€ 7']
    expect(amounts.map((text) => formatAmount(readAmount(text)!))).toEqual([
      '1',
      '1234.5',
      '0.00000012',
      '0.5',
      '-3.1',
      '-0.1',
      '0.06',
      '7',
    ])
    for (const text of ['', '1,5', '0,123', '0,000,001', '1.2.3', 'x', '1e9999', '--1'])
      expect(readAmount(text)).toBeUndefined()
    expect(readCount('1.2345', 1_000)).toBe(1235n)
  })
})

describe('days of an export', () => {
  it('begin at midnight of their zone, also where clocks change', () => {
    const berlin = dayReader('Europe/Berlin')
    expect(berlin(Date.parse('2026-03-28T23:00:00Z'))).toBe('2026-03-29')
    expect(berlin(Date.parse('2026-03-29T21:59:59Z'))).toBe('2026-03-29')
    expect(berlin(Date.parse('2026-03-29T22:00:00Z'))).toBe('2026-03-30')
    expect(dayReader('UTC')(Date.parse('2026-03-29T23:59:59Z'))).toBe('2026-03-29')
  })

  it('are put together from hours, or from minutes where a zone is not whole hours off', () => {
    const window = windowOf('2026-01-01', '2026-01-31', 'Asia/Kolkata')
    expect(intervalFor('Asia/Kolkata', window)).toBe('MINUTE')
    expect(piecesOf(window, 'MINUTE')).toHaveLength(4)
    expect(intervalFor('America/Los_Angeles', window)).toBe('HOUR')
    expect(piecesOf(windowOf('2026-01-01', '2026-01-31', 'UTC'), 'DAY')).toEqual([
      { from: '2026-01-01T00:00:00.000Z', to: '2026-02-01T00:00:00.000Z' },
    ])
  })
})
