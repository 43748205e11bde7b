import { writeFileSync } from 'node:fs'

interface BilledLine {
  requests: number
  cents: number
}

/** What a provider bills by day, as its export would say it: kept apart from everything that the records tell. */
export class ProviderBill {
  readonly #days = new Map<string, BilledLine>()

  add(atMs: number, cents: number): void {
    const day = new Date(atMs).toISOString().slice(0, 10)
    const line = this.#days.get(day) ?? { requests: 0, cents: 0 }
    this.#days.set(day, { requests: line.requests + 1, cents: line.cents + cents })
  }

  get days(): string[] {
    return [...this.#days.keys()].sort()
  }

  /** Writes it as a table, with so many cents too much on its first day. */
  export(path: string, tooMuch = 0): void {
    const lines = this.days.map((day, at) => {
      const { requests, cents } = this.#days.get(day)!
      const billed = cents + (at === 0 ? tooMuch : 0)
      return `${day},cents,${requests},${cents},${(billed / 100).toFixed(2)}`
    })
    writeFileSync(path, ['Day,Model,Prompt,Completion,Cost', ...lines, ''].join('\n'))
  }
}
