import { hash } from 'node:crypto'

/**
 * Rendezvous hashing (Thaler and Ravishankar; weighted: Schindelhauer and Schomaker): every candidate draws a score for this
 * session, the best is first. Nothing is stored; when one rests only its own sessions move, each to its second, and its share is
 * that of its weight. Weights are above 0.
 */
export function rendezvous<T>(
  session: string,
  candidates: readonly T[],
  key: (one: T) => string,
  weight: (one: T) => number,
): T[] {
  return candidates
    .map((one) => ({ one, score: -Math.log(uniform(session, key(one))) / weight(one) }))
    .sort((a, b) => a.score - b.score)
    .map(({ one }) => one)
}

/** A number in (0, 1) that hangs on both texts alone. */
function uniform(session: string, key: string): number {
  const bits = Number.parseInt(hash('sha256', `${key}\n${session}`, 'hex').slice(0, 12), 16)
  return (bits + 0.5) / 2 ** 48
}
