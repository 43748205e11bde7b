/**
 * Exact money. An amount is a `bigint` of 10⁻¹² of the currency: a price per million tokens, as providers publish it with
 * up to six decimals, times a token count is then exact and nothing is rounded per request.
 */
export const moneyScale = 12

const unit = 10n ** BigInt(moneyScale)
/** 10¹⁵: more money is declared of nothing, and sums of many such still fit the ledger's columns. */
export const declaredMax = 10n ** 15n * unit

const decimalPattern = /^(-?)(\d{1,26})(?:\.(\d+))?$/

/** Parses a decimal such as `"0.0000375"`. Undefined where it is not a plain decimal or not exact at 10⁻¹². */
export function parseAmount(text: string): bigint | undefined {
  const match = decimalPattern.exec(text)
  if (!match) return undefined
  const fraction = (match[3] ?? '').replace(/0+$/, '')
  if (fraction.length > moneyScale) return undefined
  const value = BigInt(match[2]!) * unit + BigInt(fraction.padEnd(moneyScale, '0'))
  return match[1] ? -value : value
}

/** Writes an amount as the shortest exact decimal: `"0.0000375"`, `"12"`. */
export function formatAmount(amount: bigint): string {
  if (amount === 0n) return '0'
  return amount > 0n && amount <= exactMax ? formatSmall(Number(amount)) : formatLarge(amount)
}

const exactMax = BigInt(Number.MAX_SAFE_INTEGER)

/** What an ordinary request costs fits a double exactly, whose arithmetic is many times faster. `%` is exact. */
function formatSmall(amount: number): string {
  const fraction = amount % 1e12
  const whole = String((amount - fraction) / 1e12)
  return fraction === 0 ? whole : `${whole}.${trimZeros(String(fraction).padStart(moneyScale, '0'))}`
}

function trimZeros(digits: string): string {
  let end = digits.length
  while (digits.charCodeAt(end - 1) === 48) end--
  return digits.slice(0, end)
}

function formatLarge(amount: bigint): string {
  const sign = amount < 0n ? '-' : ''
  const absolute = amount < 0n ? -amount : amount
  const fraction = (absolute % unit).toString().padStart(moneyScale, '0').replace(/0+$/, '')
  return `${sign}${absolute / unit}${fraction ? `.${fraction}` : ''}`
}

/**
 * The price of one unit at 10⁻¹², from an amount per `per` units times an exchange rate (1 where the currencies are one).
 * Undefined where that is not exact: such a price line is refused when it is declared.
 */
export function unitPrice(amount: bigint, per: number, exchangeRate: bigint = unit): bigint | undefined {
  const numerator = amount * exchangeRate
  const denominator = BigInt(per) * unit
  return numerator % denominator === 0n ? numerator / denominator : undefined
}
