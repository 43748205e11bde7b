export type Interval = 'MINUTE' | 'HOUR' | 'DAY' | 'WEEK' | 'MONTH' | 'TOTAL'
export type RollupInterval = 'MINUTE' | 'HOUR' | 'DAY'

const minuteMs = 60_000
const hourMs = 3_600_000
const dayMs = 86_400_000
/** 1 January 1970 was a Thursday; weeks begin on Monday. */
const mondayOffsetDays = 3

/** The start of the interval that a moment lies in, in UTC. TOTAL is one interval for all time; its window's edges are minutes. */
export function floorTo(interval: Interval, ms: number): number {
  if (interval === 'MINUTE' || interval === 'TOTAL') return Math.floor(ms / minuteMs) * minuteMs
  if (interval === 'HOUR') return Math.floor(ms / hourMs) * hourMs
  if (interval === 'DAY') return Math.floor(ms / dayMs) * dayMs
  if (interval === 'WEEK') {
    const day = Math.floor(ms / dayMs) + mondayOffsetDays
    return (day - (((day % 7) + 7) % 7) - mondayOffsetDays) * dayMs
  }
  const date = new Date(ms)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1)
}

export function ceilTo(interval: Interval, ms: number): number {
  const start = floorTo(interval, ms)
  if (start === ms) return ms
  if (interval === 'MONTH') return Date.UTC(new Date(ms).getUTCFullYear(), new Date(ms).getUTCMonth() + 1, 1)
  const lengths = { MINUTE: minuteMs, TOTAL: minuteMs, HOUR: hourMs, DAY: dayMs, WEEK: 7 * dayMs }
  return start + lengths[interval]
}

export interface Span {
  interval: RollupInterval
  fromMs: number
  toMs: number
}

/** Which rollups add up to a window exactly: for TOTAL days in the middle, hours and minutes at its edges. */
export function coverOf(interval: Interval, fromMs: number, toMs: number): Span[] {
  if (interval === 'MINUTE' || interval === 'HOUR') return [{ interval, fromMs, toMs }]
  if (interval !== 'TOTAL') return [{ interval: 'DAY', fromMs, toMs }]
  const within = (finer: RollupInterval, coarser: RollupInterval | undefined, from: number, to: number): Span[] => {
    if (from >= to) return []
    const [start, end] = coarser ? [ceilTo(coarser, from), floorTo(coarser, to)] : [to, to]
    if (!coarser || start >= end) return [{ interval: finer, fromMs: from, toMs: to }]
    const middle = within(coarser, coarser === 'HOUR' ? 'DAY' : undefined, start, end)
    const edge = (fromEdge: number, toEdge: number) =>
      fromEdge < toEdge ? [{ interval: finer, fromMs: fromEdge, toMs: toEdge }] : []
    return [...edge(from, start), ...middle, ...edge(end, to)]
  }
  return within('MINUTE', 'HOUR', fromMs, toMs)
}
