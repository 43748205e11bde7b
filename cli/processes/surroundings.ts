import { readFileSync } from 'node:fs'
import { type Clock, systemClock } from '../../schema/clock.ts'
import type { Io } from '../io.ts'
import type { Settings } from '../settings.ts'

const ranks = { debug: 0, info: 1, warn: 2, error: 3 } as const

/** What a process says on stderr, from the level that SLUICE_LOG names: sentences on a terminal, one JSON object a line elsewhere. */
export function logOf(settings: Settings, io: Io): Log {
  const least = ranks[settings.log]
  return (level, message, fields = {}) => {
    if (ranks[level] < least) return
    const time = new Date().toISOString()
    io.err(
      io.isStderrTty ? `${time} ${level}: ${message}\n` : `${JSON.stringify({ time, level, message, ...fields })}\n`,
    )
  }
}

/** `fields` are ids, codes and counts; never content, addresses or secrets. */
export type Log = (
  level: 'debug' | 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, string | number | null>,
) => void

/** The machine's clock, or for tests the time in the file that SLUICE_CLOCK names, as text of Unix milliseconds. */
export function clockOf(settings: Settings): Clock {
  const { clock } = settings
  if (clock === null) return systemClock
  return { now: () => Number(readFileSync(clock, 'utf8').trim()) }
}
