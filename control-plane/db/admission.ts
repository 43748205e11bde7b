import { QueryFailed } from './driver.ts'

export interface AdmissionBounds {
  /** How many may work at a time. */
  places: number
  waitingMax: number
  waitTimeoutMs: number
}

/** SQLSTATE of a server that has no connection left: who is not let in hears the same. */
const tooMany = '53300'

/** Lets so many in at a time, the others in their order; how many wait, and for how long, is bounded. */
export class Admission {
  readonly #bounds: AdmissionBounds
  readonly #waiting = new Set<() => void>()
  #inside = 0

  constructor(bounds: AdmissionBounds) {
    this.#bounds = bounds
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#inside < this.#bounds.places) this.#inside++
    else await this.#turn()
    try {
      return await work()
    } finally {
      this.#leave()
    }
  }

  /** The place of who leaves goes to who waits longest. */
  #turn(): Promise<void> {
    const { waitingMax, waitTimeoutMs } = this.#bounds
    if (this.#waiting.size >= waitingMax)
      throw new QueryFailed(`more than ${waitingMax} transactions wait for the database`, tooMany, null, '')
    return new Promise((resolve, reject) => {
      const enter = () => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(() => {
        this.#waiting.delete(enter)
        const seconds = waitTimeoutMs / 1_000
        reject(new QueryFailed(`a transaction waited longer than ${seconds} s for the database`, tooMany, null, ''))
      }, waitTimeoutMs)
      this.#waiting.add(enter)
    })
  }

  #leave() {
    const [next] = this.#waiting
    if (!next) {
      this.#inside--
      return
    }
    this.#waiting.delete(next)
    next()
  }
}
