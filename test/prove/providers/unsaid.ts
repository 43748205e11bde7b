import type { Play } from './cells.ts'
import type { FlightRecord } from './records.ts'

/** What cannot be said between two protocols; each has to be refused by name, or to stand in the record. */
export function judgeUnsaid(play: Play, records: FlightRecord[]): string[] {
  const why: string[] = []
  if (play.refused !== null) why.push(`refused ${play.refused}`)
  for (const part of play.missing) why.push(`${play.client.name} → ${play.stage.vendor.name} ${play.streamed} ${play.scene} not ${part}; lossy: ${records.map(({ lossy }) => lossy.join(','))}`)
  return why
}
