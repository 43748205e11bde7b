import { type Browser, chromium } from 'playwright-core'
import { debianProgram, findProgram } from './install.ts'

/** Off: what needs a display or a GPU, and all that Chromium fetches or reports by itself. */
const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** Debian's Chromium, driven by Playwright, with an empty profile. `await browser.close()` ends it. */
export async function openBrowser(): Promise<Browser> {
  const executablePath = await installChromium()
  return chromium.launch({ executablePath, args: flags })
}

export function installChromium(): Promise<string> {
  return debianProgram('Chromium', ['chromium'], () => findProgram('/usr/bin/chromium', 'chromium'))
}
