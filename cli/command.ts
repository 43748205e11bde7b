import { parseArgs } from 'node:util'
import { type ArgsDef, type CommandDef, defineCommand } from 'citty'
import type { ExitCode, Io } from './io.ts'
import { type Format, formats } from './output/show.ts'
import { type Failed, failed, isFailed, tell } from './trouble.ts'

export interface Option {
  type: 'string' | 'boolean'
  description: string
  /** One letter. */
  short?: string
  /** May be given several times. */
  many?: boolean
  /** What stands for the value in `--help`. */
  hint?: string
  /** The only values there are. */
  values?: readonly string[]
  required?: boolean
}

export interface Positional {
  name: string
  description: string
  required?: boolean
  /** The last may be given several times. */
  many?: boolean
}

type Options = Record<string, Option>
type Value<O extends Option> = O['type'] extends 'boolean'
  ? boolean
  : O['many'] extends true
    ? string[]
    : O['required'] extends true
      ? string
      : string | undefined

/** What was given, checked: positionals in order, options by name, and the form of the answer. */
export interface Given<O extends Options> {
  positionals: (string | undefined)[]
  options: { [Name in keyof O]: Value<O[Name]> }
  format: Format
}

export interface CommandSpec<O extends Options> {
  /** As typed after `sluice`: `key issue`. */
  name: string
  description: string
  /** Lines that work as typed, shown by `--help`. */
  example: string
  positionals?: readonly Positional[]
  options?: O
  /** Of `-o`; absent = table. Null = this command has no `-o`. */
  format?: Format | null
  /** False where it asks no control plane as a tenant, and so takes no `--tenant`. */
  inTenant?: false
  run(given: Given<O>, io: Io): Promise<ExitCode | Failed>
}

const outputOption = {
  type: 'string',
  short: 'o',
  values: formats,
  description: 'form of the answer',
} as const satisfies Option

const tenantOption = {
  type: 'string',
  hint: 'name',
  description: 'act in this tenant; for operators of the installation',
} as const satisfies Option

/**
 * A citty command whose arguments are read strictly: an option that does not exist is an error, since `apply --plan-onyl` must
 * not apply. Troubles it returns are told on stderr.
 */
export function command<const O extends Options>(spec: CommandSpec<O>): CommandDef {
  const options: Options = {
    ...spec.options,
    ...(spec.inTenant !== false && { tenant: tenantOption }),
    ...(spec.format !== null && { output: outputOption }),
  }
  return defineCommand({
    meta: { name: spec.name, description: spec.description, example: spec.example } as never,
    args: cittyArgs(spec.positionals ?? [], options),
    async run({ rawArgs, data }) {
      const io = data as Io
      const given = read(spec, options, rawArgs)
      if (isFailed(given)) return tell(io, given)
      const outcome = await spec.run(given as Given<O>, actingIn(io, given.options.tenant as string | undefined))
      return isFailed(outcome) ? tell(io, outcome, given.format === 'json') : outcome
    },
  })
}

/** `--tenant` says it for one command as `SLUICE_TENANT` does for all. */
function actingIn(io: Io, tenant: string | undefined): Io {
  if (tenant === undefined) return io
  const env = { ...io.env, SLUICE_TENANT: tenant, SLUICE_TENANT_FILE: undefined }
  // Not a copy: listening for an interrupt begins when `signal` is read.
  return Object.create(io, { env: { value: env, enumerable: true } }) as Io
}

function cittyArgs(positionals: readonly Positional[], options: Options): ArgsDef {
  return Object.fromEntries([
    // citty's own checks are off: it would complain in its own words, to stdout.
    ...positionals.map(({ name, description }) => [name, { type: 'positional', description, required: false }]),
    ...Object.entries(options).map(([name, { type, description, short, hint, values }]) => [
      name,
      { type, description, alias: short, valueHint: hint ?? values?.join('|') },
    ]),
  ]) as ArgsDef
}

function read(
  spec: Pick<CommandSpec<Options>, 'name' | 'positionals' | 'format'>,
  options: Options,
  args: string[],
): Given<Options> | Failed {
  const usage = (message: string) => failed('USAGE', message, { advice: `sluice ${spec.name} --help` })
  const parsed = parse(args, options)
  if (typeof parsed === 'string') return usage(parsed)
  const expected = spec.positionals ?? []
  if (parsed.positionals.length > expected.length && !expected.at(-1)?.many)
    return usage(`There is no place for ${JSON.stringify(parsed.positionals[expected.length])} here.`)
  const missing = expected.find(({ required }, index) => required && !parsed.positionals[index])
  if (missing) return usage(`${missing.name} is missing: ${missing.description}.`)
  for (const [name, option] of Object.entries(options)) {
    const value = parsed.values[name]
    if (value === undefined && option.required) return usage(`--${name} is missing: ${option.description}.`)
    if (option.values && typeof value === 'string' && !option.values.includes(value))
      return usage(`--${name} is one of ${option.values.join(', ')}, not ${JSON.stringify(value)}.`)
    // An empty variable in a script must not turn into acting at home.
    if (option === tenantOption && value === '') return usage('--tenant is empty; name a tenant, or leave it out.')
    if (option.many && value === undefined) parsed.values[name] = []
  }
  const format = (parsed.values.output ?? spec.format ?? 'table') as Format
  return { positionals: parsed.positionals, options: parsed.values as never, format }
}

/** A negative number is no option: `-20` goes behind what ends the options, where only positionals stand. */
function negativesLast(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  const before = end < 0 ? args : args.slice(0, end)
  const negative = before.filter((arg) => /^-\d/.test(arg))
  if (negative.length === 0) return [...args]
  const others = before.filter((arg) => !/^-\d/.test(arg))
  return [...others, '--', ...negative, ...(end < 0 ? [] : args.slice(end + 1))]
}

/** A sentence where node's strict reader refuses. */
function parse(args: string[], options: Options) {
  try {
    const known = Object.entries(options).map(([name, { type, short, many }]) => [
      name,
      { type, ...(short && { short }), multiple: many === true },
    ])
    const { values, positionals } = parseArgs({
      args: negativesLast(args),
      options: Object.fromEntries(known),
      allowPositionals: true,
      allowNegative: false,
      strict: true,
    })
    const given = values as Record<string, unknown>
    for (const [name, { type }] of Object.entries(options)) if (type === 'boolean') given[name] ??= false
    return { values: given, positionals }
  } catch (error) {
    const [sentence] = (error as Error).message.split('. To specify')
    return sentence!.endsWith('.') ? sentence! : `${sentence!}.`
  }
}
