import type { Environment } from '../settings.ts'

const codes = { bold: [1, 22], dim: [2, 22], red: [31, 39], green: [32, 39], yellow: [33, 39], cyan: [36, 39] } as const
export type Colour = keyof typeof codes
export type Paint = Record<Colour, (text: string) => string>

/** Colours for a terminal; nothing at all elsewhere, or where `NO_COLOR` is set (no-color.org). */
export function paint(isTty: boolean, env: Environment): Paint {
  const colourful = isTty && !env.NO_COLOR && env.TERM !== 'dumb'
  const entries = Object.entries(codes).map(([name, [on, off]]) => [
    name,
    colourful ? (text: string) => `\u001b[${on}m${text}\u001b[${off}m` : (text: string) => text,
  ])
  return Object.fromEntries(entries) as Paint
}
