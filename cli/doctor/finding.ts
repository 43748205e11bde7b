import type { Failed } from '../trouble.ts'

/** What a check found. `wayOut` is said where something is to be done. */
export interface Finding {
  check: string
  state: 'ok' | 'warn' | 'fail'
  detail: string
  wayOut?: string
}

export const ok = (check: string, detail: string): Finding => ({ check, state: 'ok', detail })
export const warn = (check: string, detail: string, wayOut?: string): Finding => ({
  check,
  state: 'warn',
  detail,
  wayOut,
})
export const fail = (check: string, detail: string, wayOut: string): Finding => ({
  check,
  state: 'fail',
  detail,
  wayOut,
})

/** A check that could not be made. */
export const failureOf = (check: string, { failed: [trouble] }: Failed): Finding =>
  fail(check, `${trouble!.code}: ${trouble!.message}`, trouble!.advice ?? 'the log of the control plane says more')
