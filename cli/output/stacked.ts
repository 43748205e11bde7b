/** How much of a whole is gone, held and left, drawn in `width` cells: `██████▒▒▒░░░░░░`. */
export interface Shares {
  spent: bigint
  leased: bigint
  whole: bigint
}

/** What is more than nothing is never drawn as nothing; what is beyond the whole ends in `▶`. */
export function stackedBar(
  { spent, leased, whole }: Shares,
  width: number,
): { spent: string; leased: string; left: string } {
  const gone = spent > 0n ? spent : 0n
  const held = leased > 0n ? leased : 0n
  if (whole <= 0n) return { spent: '█'.repeat(width), leased: '', left: '' }
  if (gone > whole) return { spent: `${'█'.repeat(width - 1)}▶`, leased: '', left: '' }
  const first = cells(gone, whole, width)
  const second = Math.min(width - first, cells(held, whole, width))
  return { spent: '█'.repeat(first), leased: '▒'.repeat(second), left: '░'.repeat(width - first - second) }
}

/** At least one for what is there, and all of them only where it is all. */
function cells(value: bigint, whole: bigint, width: number): number {
  if (value === 0n) return 0
  if (value >= whole) return width
  return Math.min(width - 1, Math.max(1, Number((value * BigInt(width)) / whole)))
}
