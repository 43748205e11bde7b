/** Where the time comes from, so that tests and simulations own it. Unix milliseconds. */
export interface Clock {
  now(): number
}

export const systemClock: Clock = { now: () => Date.now() }
