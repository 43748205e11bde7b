const eighths = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A bar of at most `width` cells, in eighths of one; something that is more than nothing is never drawn as nothing. */
export function bar(value: bigint, most: bigint, width: number): string {
  if (value <= 0n || most <= 0n) return ''
  const cells = Math.max(1, Number((value * BigInt(width * 8)) / most))
  return '█'.repeat(Math.floor(cells / 8)) + eighths[cells % 8]!
}
