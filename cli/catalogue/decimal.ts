/**
 * A number of the catalogue as exact decimal text. JavaScript prints a number as the shortest text that reads back as the same
 * number (ECMA-262, Number::toString), which is the text the catalogue was written with; only its exponent has to go.
 */
export function decimalText(value: number): string {
  if (!Number.isFinite(value) || value < 0) throw new RangeError(`no price: ${value}`)
  const [digits, exponent] = String(value).split('e')
  if (exponent === undefined) return digits!
  const [whole, fraction = ''] = digits!.split('.')
  const point = whole!.length + Number(exponent)
  const all = whole! + fraction
  if (point <= 0) return `0.${'0'.repeat(-point)}${all}`
  return point >= all.length ? all.padEnd(point, '0') : `${all.slice(0, point)}.${all.slice(point)}`
}
