import { readFileSync } from 'node:fs'
import { processTree } from '../real/started.ts'

/** What Linux counts CPU time in, a second: USER_HZ, 100 on every architecture (`man 5 proc_pid_stat`). */
const ticksPerS = 100

/** CPU seconds that a process and its descendants used so far, all threads, user and system. */
export function cpuSeconds(pid: number): number {
  let ticks = 0
  for (const one of processTree(pid)) {
    // The name, in parentheses, may hold spaces; utime and stime are fields 14 and 15 of the line.
    const fields = readFileSync(`/proc/${one}/stat`, 'utf8').split(') ').at(-1)!.split(' ')
    ticks += Number(fields[11]) + Number(fields[12])
  }
  return ticks / ticksPerS
}

/** Memory in use by a process and its descendants, in MB (10⁶ bytes). */
export function residentMb(pid: number): number {
  let kib = 0
  for (const one of processTree(pid))
    kib += Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${one}/status`, 'utf8'))?.[1] ?? 0)
  return (kib * 1024) / 1e6
}
