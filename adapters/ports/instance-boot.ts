import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'

let known: string | undefined

/**
 * Names this run of the machine: another one means that what the operating system had not yet written is gone. Where the
 * system does not tell (not Linux), every process counts as another run, which errs to the safe side.
 */
export function machineBootId(): string {
  if (known === undefined) {
    try {
      known = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    } catch {
      known = randomUUID()
    }
  }
  return known
}
