/** How long an event loop stood still at the longest, milliseconds. */
export interface LongestPause {
  /** Between two turns by the clock: on a busy machine also because other programs ran. */
  gapMs: number
  /** CPU time of this thread between two turns: its own work alone. */
  workMs: number
}

/** Watches this thread's event loop until `end`. */
export function watchLoop(): { end(): Promise<LongestPause> } {
  const longest: LongestPause = { gapMs: 0, workMs: 0 }
  let lastMs = performance.now()
  let lastCpuMs = threadCpuMs()
  let running = true
  const turn = () => {
    const [nowMs, cpuMs] = [performance.now(), threadCpuMs()]
    longest.gapMs = Math.max(longest.gapMs, nowMs - lastMs)
    longest.workMs = Math.max(longest.workMs, cpuMs - lastCpuMs)
    lastMs = nowMs
    lastCpuMs = cpuMs
    if (running) setTimeout(turn, 1)
  }
  turn()
  return {
    async end() {
      await Bun.sleep(20)
      running = false
      return longest
    },
  }
}

function threadCpuMs(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1_000
}
