const short = /^(\d+(?:\.\d{1,3})?)(ms|s|m|h|d|w)$/
const iso = /^P(?=.)(?:(\d+)W)?(?:(\d+)D)?(?:T(?=.)(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d{1,3})?)S)?)?$/
const unitMs = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }

/** Milliseconds in `90s`, `15m`, `1h`, `30d` or ISO 8601 (`PT1H30M`); undefined where the text is neither. */
export function parseDuration(text: string): number | undefined {
  const plain = short.exec(text)
  if (plain) return Math.round(Number(plain[1]) * unitMs[plain[2] as keyof typeof unitMs])
  const match = iso.exec(text)
  if (!match) return undefined
  const [weeks, days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0))
  return weeks! * unitMs.w + days! * unitMs.d + hours! * unitMs.h + minutes! * unitMs.m + Math.round(seconds! * 1_000)
}

/** ISO 8601 from milliseconds, always the same text for the same length: `PT1H`, `P30D`, `PT0.25S`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return 'PT0S'
  const days = Math.floor(ms / unitMs.d)
  const hours = Math.floor((ms % unitMs.d) / unitMs.h)
  const minutes = Math.floor((ms % unitMs.h) / unitMs.m)
  const seconds = (ms % unitMs.m) / 1_000
  const time = `${hours ? `${hours}H` : ''}${minutes ? `${minutes}M` : ''}${seconds ? `${seconds}S` : ''}`
  return `P${days ? `${days}D` : ''}${time ? `T${time}` : ''}`
}
