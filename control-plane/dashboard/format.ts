const unit = 10n ** 12n

/** An amount cut into what is read first (whole and two decimals) and the fine decimals after it, rounded to six. */
export function splitAmount(amount: bigint): { whole: string; fine: string } {
  const sign = amount < 0n ? '−' : ''
  const micro = ((amount < 0n ? -amount : amount) + 500_000n) / 1_000_000n
  const text = (micro % 1_000_000n).toString().padStart(6, '0')
  return { whole: `${sign}${grouped(micro / 1_000_000n)}.${text.slice(0, 2)}`, fine: text.slice(2) }
}

/** One line of money: two decimals from 100 on, else as many as tell something, at most six. */
export function formatMoney(amount: bigint): string {
  const { whole, fine } = splitAmount(amount)
  return amount >= 100n * unit ? whole : `${whole}${fine}`
}

/** Money where the fine decimals are of no matter: two, but as many as tell something below a hundredth. */
export function roundMoney(amount: bigint): string {
  const cent = unit / 100n
  if (amount < cent && amount > -cent) return amount === 0n ? '0.00' : formatMoney(amount)
  const half = amount < 0n ? -cent / 2n : cent / 2n
  return splitAmount(((amount + half) / cent) * cent).whole
}

function grouped(value: bigint): string {
  return value.toString().replace(/\B(?=(\d{3})+(?!\d))/g, '\u202f')
}

/** Counts: exact below a million, then four digits with M or G. */
export function formatCount(value: number): string {
  if (value < 1e6) return grouped(BigInt(value))
  const [size, letter] = value < 1e9 ? [1e6, 'M'] : [1e9, 'G']
  return `${(value / (size as number)).toPrecision(4)} ${letter}`
}

const clock = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' })

export function formatTime(at: string | number): string {
  return clock.format(new Date(at))
}

export function formatMs(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`
}

const symbols: Record<string, string> = { USD: '$', EUR: '€', GBP: '£', JPY: '¥', CHF: 'CHF ' }

/** What stands before an amount; the code itself where a currency has no sign of its own. */
export function currencySign(currency: string): string {
  return symbols[currency] ?? `${currency} `
}
