/** Notes the longest gap between turns of this process's event loop, until `end`; milliseconds. */
export function watchLoop(): { end(): Promise<number> } {
  let lastMs = performance.now()
  let longestMs = 0
  let running = true
  const turn = () => {
    const nowMs = performance.now()
    longestMs = Math.max(longestMs, nowMs - lastMs)
    lastMs = nowMs
    if (running) setTimeout(turn, 1)
  }
  turn()
  return {
    async end() {
      await Bun.sleep(20)
      running = false
      return longestMs
    },
  }
}
