import { invalidInput, type UserError } from '../errors.ts'

const charactersMax = 1_000

/** Whoever moves money says why. */
export function checkReason(reason: string, errors: UserError[]): void {
  const isText =
    reason.trim() !== '' && reason.length <= charactersMax && reason.isWellFormed() && !reason.includes('\0')
  if (!isText) errors.push(invalidInput(['reason'], `says why, in 1 to ${charactersMax} characters`))
}
