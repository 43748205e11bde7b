/** The header in which a client labels its request: `case=b,step=c`. */
export const labelsHeader = 'x-sluice-labels'

export const labelsHeaderCharactersMax = 4_096
const labelsMax = 64
export const labelValueCharactersMax = 256

/** As `labels()` of schema/config/fields.ts has it. */
const keyPattern = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/

const syntax = 'Write it as key=value,key=value; percent-encode commas and what is not ASCII in a value.'

/**
 * Reads the header: pairs apart by commas, white space around them is dropped, values may be percent-encoded as in W3C Baggage. What
 * is wrong is said without the value, which may name a person.
 */
export function parseLabels(text: string): ReadonlyMap<string, string> | { wrong: string } {
  if (text.length > labelsHeaderCharactersMax) return wrong(`is longer than ${labelsHeaderCharactersMax} characters.`)
  const labels = new Map<string, string>()
  const pairs = text.split(',')
  if (pairs.length > labelsMax) return wrong(`holds more than ${labelsMax} labels.`)
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    const key = pair.slice(0, Math.max(equals, 0)).trim()
    if (equals < 0 || !keyPattern.test(key)) return wrong(`cannot be read. ${syntax}`)
    if (labels.has(key)) return wrong(`holds ${key} twice.`)
    const value = decode(pair.slice(equals + 1).trim())
    if (value === undefined) return wrong(`holds a value of ${key} that is not percent-encoded text. ${syntax}`)
    labels.set(key, value)
  }
  return labels
}

const wrong = (sentence: string) => ({ wrong: `The header ${labelsHeader} ${sentence}` })

function decode(text: string): string | undefined {
  if (!text.includes('%')) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** A label's value as records and spend groups can hold it: 1 to 256 characters, none of them a control character or half of one. */
export function isLabelValue(value: string): boolean {
  return value.length > 0 && value.length <= labelValueCharactersMax && !/\p{Cc}/u.test(value) && value.isWellFormed()
}
