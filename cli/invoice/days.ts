const dayMs = 86_400_000
const slotMs = 15 * 60_000
const slotsMax = 100_000

/** Tells the day that an instant lies in, in an IANA time zone. Zones change at quarter hours, so a quarter is asked once. */
export function dayReader(timeZone: string): (ms: number) => string {
  if (timeZone === 'UTC') return (ms) => new Date(ms).toISOString().slice(0, 10)
  const format = new Intl.DateTimeFormat('en-CA', { timeZone, year: 'numeric', month: '2-digit', day: '2-digit' })
  const known = new Map<number, string>()
  return (ms) => {
    const slot = Math.floor(ms / slotMs)
    let day = known.get(slot)
    if (day === undefined) {
      day = format.format(ms)
      if (known.size < slotsMax) known.set(slot, day)
    }
    return day
  }
}

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-CA', { timeZone: name })
    return !/^[+-]/.test(name)
  } catch {
    return false
  }
}

export interface Window {
  from: string
  to: string
}

/** UTC instants that hold these days, first to last, whatever the zone; the days at the edges are cut by the reader. */
export function windowOf(first: string, last: string, timeZone: string): Window {
  const spare = timeZone === 'UTC' ? 0 : dayMs
  return {
    from: new Date(Date.parse(first) - spare).toISOString(),
    to: new Date(Date.parse(last) + dayMs + spare).toISOString(),
  }
}

/** The longest interval whose edges are also edges of days there: DAY in UTC, HOUR where the clock is whole hours off, else MINUTE. */
export function intervalFor(timeZone: string, { from, to }: Window): 'DAY' | 'HOUR' | 'MINUTE' {
  if (timeZone === 'UTC') return 'DAY'
  const minute = new Intl.DateTimeFormat('en-CA', { timeZone, minute: '2-digit' })
  for (let ms = Date.parse(from); ms < Date.parse(to); ms += dayMs) if (Number(minute.format(ms)) !== 0) return 'MINUTE'
  return 'HOUR'
}

/** Pieces of a window that each hold less intervals than one question may ask for. */
export function piecesOf({ from, to }: Window, interval: 'DAY' | 'HOUR' | 'MINUTE'): Window[] {
  const pieceMs = { DAY: 10_000 * dayMs, HOUR: 600 * dayMs, MINUTE: 10 * dayMs }[interval]
  const pieces: Window[] = []
  for (let ms = Date.parse(from); ms < Date.parse(to); ms += pieceMs)
    pieces.push({
      from: new Date(ms).toISOString(),
      to: new Date(Math.min(ms + pieceMs, Date.parse(to))).toISOString(),
    })
  return pieces
}
