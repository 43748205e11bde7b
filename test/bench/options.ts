import { parseArgs } from 'node:util'

/** How long everything takes. */
export interface Length {
  rounds: number
  /** Of one measurement. */
  roundS: number
  /** Before the first round, for each row: the compilers share the core and need some four seconds with a gateway. */
  warmUpS: number
  /** Requests of the memory row. */
  memoryRequests: number
}

export interface Options extends Length {
  only: string[] | undefined
  json: boolean
  help: boolean
}

const lengths = {
  quick: { rounds: 3, roundS: 1, warmUpS: 3, memoryRequests: 20_000 },
  usual: { rounds: 5, roundS: 2, warmUpS: 4, memoryRequests: 100_000 },
  full: { rounds: 9, roundS: 4, warmUpS: 4, memoryRequests: 1_000_000 },
} as const

/** Reads the command line; a sentence where it is wrong. */
export function readOptions(args: string[], names: string[]): Options | string {
  let values: { quick?: boolean; full?: boolean; output?: string; only?: string; help?: boolean }
  try {
    const text = { type: 'string' } as const
    const flag = { type: 'boolean' } as const
    const options = { quick: flag, full: flag, help: flag, only: text, output: { ...text, short: 'o' } } as const
    values = parseArgs({ args, options }).values
  } catch (error) {
    return (error as Error).message
  }
  if (values.quick && values.full) return 'Say --quick or --full, not both.'
  if (values.output !== undefined && !['json', 'table'].includes(values.output)) return 'The output is json or table.'
  const only = values.only?.split(',').map((name) => name.trim())
  const unknown = only?.filter((name) => !names.includes(name))
  if (unknown && unknown.length > 0) return `No row ${unknown.join(', ')}; there are ${names.join(', ')}.`
  const length = lengths[values.quick ? 'quick' : values.full ? 'full' : 'usual']
  return { ...length, only, json: values.output === 'json', help: values.help ?? false }
}

export function helpText(rows: { name: string; title: string }[]): string {
  const width = Math.max(...rows.map(({ name }) => name.length))
  return `Measures the gateway against a bare proxy on Bun, nginx and another gateway, and prints one table.

  bun run bench [--quick | --full] [--only row,row] [-o json]

  --quick        3 rounds of 1 s a row, 20,000 requests for memory (some three minutes)
  --full         9 rounds of 4 s a row, a million requests for memory
  --only         these rows, and those that they are held against
  -o json        the figures of every round as JSON on stdout

Rounds are interleaved and a ratio is taken within its round, so that a machine that is busy with other things too disturbs
both sides alike. The exit code is 1 when something does not run, never because of a figure.

Example: bun run bench --quick --only sluice-plain,sluice-plain-off

Rows:
${rows.map(({ name, title }) => `  ${name.padEnd(width)}  ${title}`).join('\n')}`
}
