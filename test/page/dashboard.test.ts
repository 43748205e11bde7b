import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { cuttableRelay, type Relay } from '../prove/parts/relay.ts'
import { type Sluice, startSluice } from '../prove/parts/sluice.ts'
import { openBrowser } from '../real/chromium.ts'

/** A word in and a word out cost three cents together. */
const priced = `
kind: PriceSheet
name: page
lines:
  - { model: model/echo, meter: INPUT_TOKENS, amount: "1", per: 100 }
  - { model: model/echo, meter: OUTPUT_TOKENS, amount: "2", per: 100 }
---
kind: Budget
name: page-month
scope: project/default
limit: { amount: "250", currency: USD }
period: MONTH
`

let folder: string
let sluice: Sluice
let relay: Relay
let browser: Browser
let page: Page
const foreign: string[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'sluice-page-'))
  sluice = await startSluice(join(folder, 'data'))
  writeFileSync(join(folder, 'priced.yaml'), priced)
  await sluice.command('apply', '-f', join(folder, 'priced.yaml'), '--yes')
  relay = cuttableRelay(Number(new URL(sluice.running.graphql).port))
  browser = await openBrowser()
  page = await browser.newPage()
  page.on('request', (request) => new URL(request.url()).hostname === '127.0.0.1' || foreign.push(request.url()))
  const link = new URL(sluice.running.dashboard)
  link.port = String(await relay.port)
  await page.goto(link.href)
})

afterAll(async () => {
  await browser?.close()
  relay?.close()
  await sluice?.stop()
  rmSync(folder, { recursive: true })
})

async function spendOneWord(times: number): Promise<void> {
  const { gateway, applicationKey } = sluice.running
  for (let at = 0; at < times; at++) {
    const answer = await fetch(`${gateway}/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${applicationKey}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'echo', max_tokens: 4, messages: [{ role: 'user', content: 'word' }] }),
    })
    expect(answer.status).toBe(200)
  }
}

/** Waits until the page's text, spaces aside, holds this. */
const shows = (text: string) =>
  expect
    .poll(async () => ((await page.textContent('body')) ?? '').replaceAll(/\s/g, ''), { timeout: 15_000 })
    .toContain(text)

describe('the dashboard', () => {
  it('opens by its one-time link, shows what is spent as it is spent, and asks nobody else for anything', async () => {
    await shows('live')
    await shows('$0.000000')
    await shows('page-month$0.00of$250.000%$250.00left')
    await spendOneWord(2)
    await shows('$0.060000')
    await shows('page-month$0.06of$250.00<1%$249.94left')
    expect(foreign).toEqual([])
  })

  it('says that it lost its connection, and after it came back has missed nothing and counted nothing twice', async () => {
    for (let round = 1; round <= 3; round++) {
      relay.cut()
      await spendOneWord(3)
      await shows(`$${((2 + round * 3) * 0.03).toFixed(6)}`)
    }
    const { spend } = await sluice.ask<{ spend: { total: { amount: string } } }>(
      `{ spend(window: { from: "2000-01-01T00:00:00Z" }, interval: TOTAL) { total { amount } } }`,
    )
    expect(Number(spend.total.amount)).toBeCloseTo(0.33, 12)
    await page.waitForTimeout(1_000)
    await shows('$0.330000')
  })

  it('shows a budget grow as somebody adjusts it', async () => {
    await sluice.command('budget', 'adjust', 'page-month', '+50', '--reason', 'a test')
    await shows('of$300.00')
  })

  it('does not open a second time by the same link', async () => {
    const other = await (await browser.newContext()).newPage()
    await other.goto(sluice.running.dashboard)
    expect(await other.textContent('body')).not.toContain('Spent today')
  })
})
