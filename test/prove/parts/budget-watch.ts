import { balances, faultOf, type Shown } from './budget-balances.ts'
import type { CrashHouse } from './crash-house.ts'
import type { Checks } from './proof.ts'

const everyMs = 250

/** Looks at every balance again and again while things happen; a control plane that is down is asked again later. */
export class BalanceWatch {
  looks = 0
  last: Shown[] = []
  #stopping = false
  readonly #running: Promise<void>

  constructor(readonly scene: { house: CrashHouse; checks: Checks }) {
    this.#running = this.#run()
  }

  async stop(): Promise<void> {
    this.#stopping = true
    await this.#running
  }

  async #run(): Promise<void> {
    const { house, checks } = this.scene
    while (!this.#stopping) {
      const shown = await balances(house).catch(() => undefined)
      if (shown) {
        this.looks++
        this.last = shown
        for (const fault of shown.map(faultOf)) if (fault) checks.that(false, fault)
      }
      await Bun.sleep(everyMs)
    }
  }
}
