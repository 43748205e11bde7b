import { readFileSync } from 'node:fs'
import { type Clock, systemClock } from '../../schema/clock.ts'
import type { Io } from '../io.ts'
import type { Settings } from '../settings.ts'

const ranks = { debug: 0, info: 1, warn: 2, error: 3 } as const

/** Sentences of a process on stderr, from the level that SLUICE_LOG names. */
export function logOf(settings: Settings, io: Io): (level: 'info' | 'warn' | 'error', sentence: string) => void {
  const least = ranks[settings.log]
  return (level, sentence) => {
    if (ranks[level] >= least) io.err(`${new Date().toISOString()} ${level}: ${sentence}\n`)
  }
}

/** The machine's clock, or for tests the time in the file that SLUICE_CLOCK names, as text of Unix milliseconds. */
export function clockOf(settings: Settings): Clock {
  const { clock } = settings
  if (clock === null) return systemClock
  return { now: () => Number(readFileSync(clock, 'utf8').trim()) }
}
