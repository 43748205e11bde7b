/**
 * Spending in equal slices of time, the newest last. The slices of the last minute are by when the spending became known here,
 * those of the last hour by when it happened.
 */
export interface RecentSpend {
  minute: readonly bigint[]
  hour: readonly bigint[]
}

export const minuteSlices = 4
export const hourSlices = 12
const minuteMs = 60_000
const hourMs = 3_600_000

/** What is left of a budget, and for how long it has to last. */
export interface Runway {
  left: bigint
  leftMs: number
}

/** A burn rate is compared at 10⁻⁶. */
const scale = 1_000_000n
const clearsAt = (factor: bigint) => (factor * 8n) / 10n

/**
 * Whether money is spent more than `factor` (at 10⁻¹²) times faster than what is left of it would last to the window's end: at that
 * rate it is exhausted within 1/factor of the time that is left. Two lookbacks are asked, of a minute and of an hour, in the way
 * of multiwindow burn-rate alerts (Google, The Site Reliability Workbook, chapter 5): one that notices at once, one that notices
 * what is slow or comes in single requests. In each the dearest slice (a quarter of a minute, five minutes of the hour) is
 * left out, so that one dear request, or one batch of them, is no rate; and the newest two slices must not both be silent, so that it is
 * still going on. It clears once both lookbacks, whole, are below four fifths of it.
 */
export function judgeBurn(spend: RecentSpend, runway: Runway, factor: bigint): 'RAISED' | 'BETWEEN' | 'CLEAR' {
  // What is used up cannot burn: that is another trigger's, and says nothing of the rate.
  if (runway.left <= 0n || runway.leftMs <= 0) return 'BETWEEN'
  const lookbacks = [
    { slices: spend.minute, ms: minuteMs },
    { slices: spend.hour, ms: hourMs },
  ]
  const raised = lookbacks.some(
    ({ slices, ms }) => goesOn(slices) && burnOf(withoutDearest(slices), ms, runway) >= factor,
  )
  if (raised) return 'RAISED'
  const calm = lookbacks.every(
    ({ slices, ms }) => burnOf({ sum: sumOf(slices), part: 1 }, ms, runway) < clearsAt(factor),
  )
  return calm ? 'CLEAR' : 'BETWEEN'
}

/** How many times too fast, at 10⁻¹², the faster of both lookbacks. */
export function burnRate(spend: RecentSpend, runway: Runway): bigint {
  const minute = burnOf(withoutDearest(spend.minute), minuteMs, runway)
  const hour = burnOf(withoutDearest(spend.hour), hourMs, runway)
  return largest([minute, hour])
}

const goesOn = (slices: readonly bigint[]) => slices.slice(-2).some((sum) => sum > 0n)

interface Portion {
  sum: bigint
  /** Of the lookback's length. */
  part: number
}

function withoutDearest(slices: readonly bigint[]): Portion {
  return { sum: sumOf(slices) - largest(slices), part: (slices.length - 1) / slices.length }
}

function largest(amounts: readonly bigint[]): bigint {
  let most = 0n
  for (const amount of amounts) if (amount > most) most = amount
  return most
}

const sumOf = (slices: readonly bigint[]) => slices.reduce((total, sum) => total + sum, 0n)

/** (sum / length) ÷ (left / time left), at 10⁻¹². */
function burnOf({ sum, part }: Portion, ms: number, { left, leftMs }: Runway): bigint {
  if (left <= 0n || leftMs <= 0) return 0n
  const lengthMs = BigInt(Math.round(ms * part))
  return (sum * BigInt(Math.round(leftMs)) * scale * scale) / (lengthMs * left)
}
