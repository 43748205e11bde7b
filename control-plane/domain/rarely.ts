const againMs = 60_000

/** Passes a fault on when it is another one than before, and one that stays once a minute: an outage fills no log. */
export function rarely(report: (fault: unknown) => void): (fault: unknown) => void {
  let last = ''
  let saidMs = Number.NEGATIVE_INFINITY
  return (fault) => {
    const said = String(fault)
    const nowMs = performance.now()
    if (said === last && nowMs - saidMs < againMs) return
    last = said
    saidMs = nowMs
    report(fault)
  }
}
