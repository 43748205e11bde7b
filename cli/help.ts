import type { ArgDef, ArgsDef, CommandDef, CommandMeta } from 'citty'

/** Name and description of what can be typed next. */
export type Listing = Record<string, string>

/** Help of `sluice` itself or of a group such as `sluice key`: made from the table, without loading any command. */
export function groupHelp(name: string, description: string, listing: Listing): string {
  const width = Math.max(...Object.keys(listing).map((word) => word.length))
  const lines = Object.entries(listing).map(([word, what]) => `  ${word.padEnd(width)}  ${what}`)
  return [
    `${description}`,
    '',
    `Usage: ${name} <command> [options]`,
    '',
    ...lines,
    '',
    `${name} <command> --help shows each with an example.`,
    '',
  ].join('\n')
}

/** Help of one command, for any citty command; an `example` in its meta is shown last. */
export async function commandHelp(command: CommandDef): Promise<string> {
  const meta = (await resolved(command.meta)) as (CommandMeta & { example?: string }) | undefined
  const args = Object.entries(((await resolved(command.args)) ?? {}) as ArgsDef)
  const positionals = args.filter(([, arg]) => arg.type === 'positional')
  const options = args.filter(([, arg]) => arg.type !== 'positional')
  const usage = ['Usage: sluice', meta?.name, ...positionals.map(([name]) => `[${name}]`), '[options]']
  return [
    meta?.description ?? '',
    '',
    usage.filter(Boolean).join(' '),
    '',
    ...aligned(positionals.map(([name, { description }]) => [name, description ?? ''])),
    ...aligned(options.map(([name, arg]) => [optionOf(name, arg), arg.description ?? ''])),
    ...(meta?.example ? ['', 'Example:', ...meta.example.split('\n').map((line) => `  ${line}`)] : []),
    '',
  ].join('\n')
}

function optionOf(name: string, arg: ArgDef): string {
  const short = 'alias' in arg ? [arg.alias ?? []].flat()[0] : undefined
  const value = arg.type === 'string' ? ` <${arg.valueHint ?? name}>` : ''
  return `${short ? `-${short}, ` : ''}--${name}${value}`
}

function aligned(rows: [string, string][]): string[] {
  const width = Math.min(38, Math.max(0, ...rows.map(([left]) => left.length)))
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`.trimEnd())
}

function resolved<T>(value: T | Promise<T> | (() => T | Promise<T>) | undefined): Promise<T | undefined> {
  return Promise.resolve(typeof value === 'function' ? (value as () => T)() : value)
}
