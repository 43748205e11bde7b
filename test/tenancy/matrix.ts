import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { buildSchema } from 'graphql'
import { type Permission, permissionsOf } from '../../schema/permissions.ts'
import { type Ask, cases } from './cases.ts'
import { type Asking, type House, lesserRoles, type World } from './world.ts'

export interface Answer {
  data?: unknown
  errors?: { message: string; code: string }[]
}

/** One way to the API. */
export interface Asker {
  ask(token: string, document: string, variables: object): Promise<Answer>
  /** Hears what a subscription says, refusals included, until it ends or `until` comes. */
  follow(
    token: string,
    document: string,
    variables: object,
    hear: (answer: Answer) => void,
    until: Promise<void>,
  ): Promise<void>
}

export interface Matrix {
  fields: number
  roles: number
  /** Documents that were sent. */
  asked: number
  /** What did not hold, one sentence each. */
  short: string[]
}

const askers: Asking[] = [...lesserRoles, 'OPERATOR']
const hearingMsMax = 20_000
const lingerMs = 400
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Every field of the printed schema's three roots, as `Query.node`. */
export function rootFields(): string[] {
  const text = readFileSync(join(import.meta.dirname, '../../schema/schema.graphql'), 'utf8')
  const schema = buildSchema(text)
  const roots = [schema.getQueryType()!, schema.getMutationType()!, schema.getSubscriptionType()!]
  return roots.flatMap((root) => Object.keys(root.getFields()).map((field) => `${root.name}.${field}`))
}

/** Fields without a case, and cases without a field. */
export function unmatched(): string[] {
  const fields = new Set(rootFields())
  const known = new Set(Object.keys(cases).filter((field) => cases[field]!.length > 0))
  return [...fields.symmetricDifference(known)]
}

/** Sends every case as every role about a home, a stranger's and a missing object, and judges the answers. */
export async function runMatrix(world: World, asker: Asker, say: (field: string) => void = () => {}): Promise<Matrix> {
  const run = new Run(world, asker)
  // Streams first: later, what was made under names of the other house would be among what they rightly tell.
  const fields = rootFields().sort((a, b) => Number(isStream(b)) - Number(isStream(a)))
  for (const field of fields) {
    say(field)
    for (const ask of cases[field] ?? []) {
      if (isStream(field)) await run.subscribed(field, ask)
      else await Promise.all(askers.map((role) => run.asked(field, ask, role)))
    }
  }
  return { fields: rootFields().length, roles: askers.length, asked: run.sent, short: run.short }
}

const isStream = (field: string) => field.startsWith('Subscription.')

type Target = 'home' | 'away' | 'missing'
const targets: Target[] = ['missing', 'away', 'home']
type Answers = Record<Target, string>

class Run {
  readonly short: string[] = []
  sent = 0

  constructor(
    readonly world: World,
    readonly asker: Asker,
  ) {}

  async asked(field: string, ask: Ask, role: Asking): Promise<void> {
    const answers = {} as Answers
    for (const target of targets) {
      const answer = await this.asker.ask(
        this.world.tokens[role],
        ask.document,
        await this.#variables(ask, role, target),
      )
      answers[target] = this.#told([answer], target)
    }
    this.#judge(`${field} (${ask.about}) as ${role}`, ask, role, answers)
  }

  /**
   * All roles follow at once, while both houses go on living. Who is to hear something is waited for; the others listen until
   * those have heard it, and a moment longer.
   */
  async subscribed(field: string, ask: Ask): Promise<void> {
    const awaited: Promise<void>[] = []
    const { promise: until, resolve: stop } = Promise.withResolvers<void>()
    const all = askers.map(async (role) => {
      const pairs = targets.map(async (target) => {
        const { promise, resolve: heard } = Promise.withResolvers<void>()
        if (this.#mayHave(ask, role, target)) awaited.push(promise)
        const answers: Answer[] = []
        const hear = (answer: Answer) => {
          if (!saysSomething(answer)) return
          answers.push(answer)
          heard()
        }
        const variables = await this.#variables(ask, role, target)
        await this.asker.follow(this.world.tokens[role], ask.document, variables, hear, until)
        return [target, this.#told(answers, target)] as const
      })
      const answers = Object.fromEntries(await Promise.all(pairs)) as Answers
      this.#judge(`${field} (${ask.about}) as ${role}`, ask, role, answers)
    })
    await this.world.stir()
    await Promise.race([Promise.all(awaited), pause(hearingMsMax)])
    await pause(lingerMs)
    stop()
    await Promise.all(all)
  }

  /** Whether an answer may differ from that for what is missing. */
  #mayHave(ask: Ask, role: Asking, target: Target): boolean {
    if (!holdsAny(role, ask.needs)) return false
    if (ask.then === 'ANSWERS') return true
    const installation = ask.needs?.includes('installation:tenants') ?? false
    return { home: role !== 'OPERATOR' || installation, away: installation, missing: false }[target]
  }

  async #variables(ask: Ask, role: Asking, target: Target): Promise<object> {
    const variables = ask.variables(this.world[target], ++this.sent, this.world.principals[role])
    if (!/\$input: (Apply|Archive|Revert)Input!/.test(ask.document)) return variables
    const { data } = await this.asker.ask(this.world.tokens[role], '{ tenant { configRevision } }', {})
    const ifRevision = (data as { tenant: { configRevision: number } }).tenant.configRevision
    const toRevision = ask.document.includes('RevertInput') ? { toRevision: ifRevision } : {}
    return { input: { ...(variables.input as object), ifRevision, ...toRevision } }
  }

  /** An answer as text, in which what was asked for is no longer told apart. */
  #told(answers: Answer[], target: Target): string {
    const { ids, mark } = this.world[target]
    let text = [...new Set(answers.map((answer) => JSON.stringify(answer)))].join('\n')
    for (const [kind, id] of Object.entries(ids)) text = text.replaceAll(id, `<${kind}>`)
    return text.replaceAll(mark, '<mark>')
  }

  #judge(what: string, ask: Ask, role: Asking, answers: Answers): void {
    for (const target of targets) {
      const answer = answers[target]
      const may = this.#mayHave(ask, role, target)
      if (ask.then === 'ANSWERS') {
        const refused = answer.includes('NOT_PERMITTED')
        if (may === refused || answer === '') this.#note(`${what}, ${target}: ${answer || 'nothing was answered'}`)
      }
      if (may && ask.then === 'DIFFERS' && answer === answers.missing)
        this.#note(`${what}: what is there is answered as missing: ${answer}`)
      if (!may && answer !== answers.missing)
        this.#note(`${what}: ${target} is told from missing: ${answer} instead of ${answers.missing}`)
      if (!ask.needs?.includes('installation:tenants') && this.#namesAway(answer, target))
        this.#note(`${what}, ${target}, names another tenant: ${answer}`)
    }
  }

  /** What was asked for was replaced; anything else of the other house is a leak. */
  #namesAway(answer: string, target: Target): boolean {
    const away: House = this.world.away
    return target !== 'away' && [away.mark, ...Object.values(away.ids)].some((one) => answer.includes(one))
  }

  #note(sentence: string): void {
    this.short.push(sentence.slice(0, 600))
  }
}

function holdsAny(role: Asking, needs: Permission[] | null): boolean {
  if (needs === null) return true
  if (role === 'NONE') return false
  const held = role === 'OPERATOR' ? permissionsOf('OWNER', true) : permissionsOf(role)
  return needs.some((permission) => held.has(permission))
}

/** A tick without groups or records, and a heartbeat, only say that time went by. */
function saysSomething({ data, errors }: Answer): boolean {
  const [event] = Object.values((data ?? {}) as Record<string, Record<string, unknown> | null>)
  if (errors || !event) return true
  return event.kind !== 'HEARTBEAT' && !Object.values(event).some((part) => Array.isArray(part) && part.length === 0)
}
