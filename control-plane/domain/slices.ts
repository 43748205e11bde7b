import { setImmediate as nextTurn } from 'node:timers/promises'

/** For so long a piece of work may hold the event loop. */
const sliceMs = 10

/** To be awaited between the steps of long work: lets the event loop turn where the present slice is used up. */
export function slices(): () => Promise<void> {
  let beganMs = performance.now()
  return async () => {
    if (performance.now() - beganMs < sliceMs) return
    await nextTurn()
    beganMs = performance.now()
  }
}
