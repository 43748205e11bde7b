import { type CommandDef, runCommand } from 'citty'
import packageJson from '../package.json' with { type: 'json' }
import { commandHelp, groupHelp } from './help.ts'
import type { ExitCode, Io } from './io.ts'
import { failed, tell } from './trouble.ts'

type Load = () => Promise<{ default: CommandDef }>
type Row = readonly [description: string, load: Load]
interface Group {
  description: string
  commands: Record<string, Row>
  /** What the word does alone, where it does something: `spend`. */
  alone?: Load
}

/** Every command, loaded when it is typed: one file each, and `sluice --help` loads none. */
const commands: Record<string, Row | Group> = {
  up: ['Run everything here: control plane, embedded database, gateway', () => load(import('./commands/up.ts'))],
  'control-plane': ['Run the control plane alone', () => load(import('./commands/control-plane.ts'))],
  gateway: ['Run a standalone gateway alone', () => load(import('./commands/gateway.ts'))],
  provider: {
    description: 'Providers: where models are.',
    commands: {
      add: ['Declare a provider with models, prices and aliases', () => load(import('./commands/provider-add.ts'))],
      check: ['Call it once and list its models, free', () => load(import('./commands/provider-check.ts'))],
      list: ['Show what is declared', () => load(import('./commands/provider-list.ts'))],
    },
  },
  credential: {
    description: 'Secrets of providers. They can be set, never read.',
    commands: { set: ['Store the secret of a credential', () => load(import('./commands/credential-set.ts'))] },
  },
  apply: ['Plan, show, ask, and declare what files say', () => load(import('./commands/apply.ts'))],
  diff: ['Compare files with what is declared: exit 0 same, 2 different', () => load(import('./commands/diff.ts'))],
  dump: ['Write everything as files that apply cleanly', () => load(import('./commands/dump.ts'))],
  archive: ['Retire what is declared; it can be restored', () => load(import('./commands/archive.ts'))],
  restore: ['Bring back what was archived', () => load(import('./commands/restore.ts'))],
  revert: ['Declare again what an earlier revision declared', () => load(import('./commands/revert.ts'))],
  explain: ['Say what would happen to a request, without sending it', () => load(import('./commands/explain.ts'))],
  key: {
    description: 'Keys of applications (slk_…) and administrators (sla_…).',
    commands: {
      issue: ['Make a key; its secret is shown once', () => load(import('./commands/key-issue.ts'))],
      rotate: ['A new secret; the old one ends after the overlap', () => load(import('./commands/key-rotate.ts'))],
      revoke: ['End a key at once', () => load(import('./commands/key-revoke.ts'))],
      list: ['Show keys and their state', () => load(import('./commands/key-list.ts'))],
    },
  },
  webhook: {
    description: 'Where events and alerts are sent.',
    commands: {
      secret: ['Make the secret that deliveries are signed with', () => load(import('./commands/webhook-secret.ts'))],
      test: ['Send one event that says it is a test', () => load(import('./commands/webhook-test.ts'))],
    },
  },
  alert: {
    description: 'What somebody is to know.',
    commands: { list: ['Show what is open', () => load(import('./commands/alert-list.ts'))] },
  },
  price: {
    description: 'What models cost.',
    commands: {
      import: ['Make price sheets from the offline catalogue', () => load(import('./commands/price-import.ts'))],
      list: ['Show the prices that hold', () => load(import('./commands/price-list.ts'))],
    },
  },
  plane: {
    description: 'Fleets of gateways.',
    commands: {
      enroll: ['Make a token with which gateways join a fleet', () => load(import('./commands/plane-enroll.ts'))],
    },
  },
  spend: {
    description: 'Show what was spent, by project, key, model …; compare it with an invoice',
    alone: () => load(import('./commands/spend.ts')),
    commands: {
      reconcile: ["Compare a provider's export with the records", () => load(import('./commands/spend-reconcile.ts'))],
    },
  },
  budget: {
    description: 'What may be spent, what is, and what is left.',
    commands: {
      list: ['Show every budget, with a bar for each counter', () => load(import('./commands/budget-list.ts'))],
      show: ['Show one with all its terms', () => load(import('./commands/budget-show.ts'))],
      adjust: ['Add money, or take it away', () => load(import('./commands/budget-adjust.ts'))],
      watch: ['Follow them live', () => load(import('./commands/budget-watch.ts'))],
      leases: ['Show which gateways hold money', () => load(import('./commands/budget-leases.ts'))],
      'write-off': ['Give up on the money of a lost gateway', () => load(import('./commands/budget-write-off.ts'))],
    },
  },
  tail: ['Follow requests as they finish', () => load(import('./commands/tail.ts'))],
  dashboard: ['Print a one-time link to the dashboard', () => load(import('./commands/dashboard.ts'))],
  doctor: ['Check this installation and say what to do', () => load(import('./commands/doctor.ts'))],
  schema: ['JSON Schema of config files, or the GraphQL schema', () => load(import('./commands/schema.ts'))],
}

/** Runs one command line and answers its exit code. Never throws for what people type. */
export async function main(argv: readonly string[], io: Io): Promise<ExitCode> {
  const args = [...argv]
  const wantsHelp = isHelpWanted(args)
  const [word] = args
  if (word === '--version' || word === '-v') return said(io, `${packageJson.version}\n`)
  if (word === undefined || word === '--help' || word === '-h' || word === 'help')
    return said(io, groupHelp('sluice', 'Sluice, an LLM gateway.', listingOf(commands)), word !== undefined)
  const found = Object.hasOwn(commands, word) ? commands[word]! : undefined
  if (!found)
    return tell(io, failed('USAGE', `There is no command ${JSON.stringify(word)}.`, { advice: 'sluice --help' }))
  if (isRow(found)) return run(found, args.slice(1), wantsHelp, io)
  const sub = args[1] !== undefined && Object.hasOwn(found.commands, args[1]) ? found.commands[args[1]] : undefined
  if (sub) return run(sub, args.slice(2), wantsHelp, io)
  if (found.alone) return run([found.description, found.alone], args.slice(1), wantsHelp, io)
  if (wantsHelp || args[1] === undefined)
    return said(io, groupHelp(`sluice ${word}`, found.description, listingOf(found.commands)), wantsHelp)
  const advice = `sluice ${word} has ${Object.keys(found.commands).join(', ')}`
  return tell(io, failed('USAGE', `There is no command ${JSON.stringify(`${word} ${args[1]}`)}.`, { advice }))
}

async function run([, load]: Row, args: string[], wantsHelp: boolean, io: Io): Promise<ExitCode> {
  const { default: command } = await load()
  if (wantsHelp) return said(io, await commandHelp(command))
  const { result } = await runCommand(command, { rawArgs: args, data: io })
  return typeof result === 'number' ? (result as ExitCode) : 0
}

/** Help that was asked for is data; help for someone who typed too little is talk, and an error. */
function said(io: Io, text: string, wasAsked = true): ExitCode {
  if (wasAsked) io.out(text)
  else io.err(text)
  return wasAsked ? 0 : 1
}

function isHelpWanted(args: string[]): boolean {
  const end = args.indexOf('--')
  return (end < 0 ? args : args.slice(0, end)).some((arg) => arg === '--help' || arg === '-h')
}

function listingOf(rows: Record<string, Row | Group>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(rows).map(([word, found]) => [word, isRow(found) ? found[0] : found.description]),
  )
}

function isRow(found: Row | Group): found is Row {
  return Array.isArray(found)
}

const load = (module: Promise<unknown>) => module as Promise<{ default: CommandDef }>
