import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BillingUpstream, billingUpstream } from './parts/billing-upstream.ts'
import { budgetDocuments, budgetsOf, type DeclaredBudget, organisation } from './parts/budget-declaration.ts'
import { BudgetFigures, judgeBudgets } from './parts/budget-judgement.ts'
import { BudgetLoad } from './parts/budget-load.ts'
import { askers, makeQuestions, type Question } from './parts/budget-questions.ts'
import { fillUp } from './parts/budget-rest.ts'
import { type LimitChange, limitsOf, type Stranded } from './parts/budget-trace.ts'
import { BalanceWatch } from './parts/budget-watch.ts'
import { type Chance, chanceOf } from './parts/chance.ts'
import { type CrashHouse, crashHouse } from './parts/crash-house.ts'
import { Checks, type Proof, type ProofOptions } from './parts/proof.ts'
import { linkedSince, strandedAt } from './parts/stranded.ts'

const seeds = { quick: 1, default: 3, full: 20 }
const gateways = 4
const requestsPerWave = 1_000
/** Who is killed in each wave, and when: while it runs, the first of its requests being answered. */
const killsOf: { who: ('gateway' | 'control')[]; least: number; most: number }[][] = [
  [
    { who: ['gateway'], least: 50, most: 1_200 },
    { who: ['gateway'], least: 1_200, most: 2_500 },
  ],
  [
    { who: ['gateway'], least: 50, most: 1_000 },
    { who: ['control'], least: 1_000, most: 2_000 },
    { who: ['gateway', 'control'], least: 2_000, most: 3_500 },
  ],
]
/** After it serves again a gateway has told the control plane what it holds. */
const reportedWithinMs = 1_000
/** Between two waves every limit grows, so that there is again a little left. */
const raise = 13n

const proof: Proof = {
  shows: 'no budget is overrun and no request refused wrongly: 4 gateways, 1,000 requests at once, kill -9',
  async run(options) {
    const first = Number(process.env.PROVE_SEED ?? Math.floor(Math.random() * 2 ** 31))
    const figures = new BudgetFigures()
    const checks = new Checks()
    for (let nth = 0; nth < seeds[options.length]; nth++)
      await runSeed(options, { seed: first + nth, tight: nth % 3 === 2 }, figures, checks)
    return { figures: { seeds: seeds[options.length], seed: first, ...figures.told() }, short: checks.short }
  },
}
export default proof

/** What the parts of one story share. */
export interface Scene extends ProofOptions {
  house: CrashHouse
  load: BudgetLoad
  upstream: BillingUpstream
  chance: Chance
  checks: Checks
  budgets: DeclaredBudget[]
  limits: LimitChange[]
  stranded: Stranded[]
  /** Every question, by its number. */
  questions: Question[]
  declare(text: string): Promise<void>
}

/** `tight`: the tenant's budget ends before those below it, which then never come to theirs. */
interface Trial {
  seed: number
  tight: boolean
}

async function runSeed(
  options: ProofOptions,
  { seed, tight }: Trial,
  figures: BudgetFigures,
  checks: Checks,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-budgets-'))
  const questions: Question[] = []
  const upstream = billingUpstream((at) => questions[at]!)
  const house = await crashHouse(folder, gateways)
  const own = new Checks()
  try {
    const scene = await prepare({ ...options, house, upstream, questions, checks: own }, folder, { seed, tight })
    const watch = new BalanceWatch(scene)
    await waveAfterWave(scene, seed)
    await fillUp(scene)
    await watch.stop()
    await judgeBudgets(scene, watch, figures)
  } finally {
    checks.short.push(...own.short.map((sentence) => `seed ${seed}: ${sentence}`))
    await house.stop()
    await upstream.stop()
    rmSync(folder, { recursive: true })
  }
}

type Begun = Pick<Scene, 'house' | 'upstream' | 'questions' | 'checks' | 'length' | 'say'>

/** Starts all of it from nothing: organisation, keys, budgets, and a fleet of gateways that enrols with one token. */
async function prepare(begun: Begun, folder: string, { seed, tight }: Trial): Promise<Scene> {
  const { house, upstream, say } = begun
  const chance = chanceOf(seed)
  await house.control.start()
  const declare = async (text: string) => {
    const file = join(folder, 'declared.yaml')
    writeFileSync(file, text)
    await command(house, 'apply', '-f', file, '--yes')
  }
  const { tenant } = await house.ask<{ tenant: Tenant }>(tenantQuery)
  const owners = tenant.members.nodes.filter(({ role }) => role === 'OWNER').map(({ principal }) => principal.name)
  await declare(organisation(upstream.url, tenant.name, owners))
  const { ids, secrets } = await issueKeys(house)
  const budgets = budgetsOf(tenant.name, ids, tight)
  await declare(budgetDocuments(budgets))
  await enrol(house)
  say(`seed ${seed}: PostgreSQL ${house.database.version}, a control plane and ${gateways} gateways run`)
  const load = new BudgetLoad(house.gateways, secrets)
  const limits = [{ fromMs: 0, limits: limitsOf(budgets, ids) }]
  return { ...begun, load, chance, budgets, limits, stranded: [], declare }
}

interface Tenant {
  name: string
  members: { nodes: { role: string; principal: { name: string } }[] }
}
const tenantQuery = '{ tenant { name members { nodes { role principal { name } } } } }'

async function issueKeys(house: CrashHouse): Promise<{ ids: Map<string, string>; secrets: Map<string, string> }> {
  const ids = new Map<string, string>()
  const secrets = new Map<string, string>()
  for (const { key, project } of askers) {
    const issued = await command(house, 'key', 'issue', key, '--project', project, '-o', 'json')
    secrets.set(key, JSON.parse(issued).secret)
    const { resource } = await house.ask<{ resource: { id: string } }>(keyQuery, { ref: `api-key/${key}` })
    ids.set(key, resource.id)
  }
  return { ids, secrets }
}

const keyQuery = 'query ($ref: Ref!) { resource(ref: $ref) { id } }'

async function enrol(house: CrashHouse): Promise<void> {
  const document = `mutation ($input: DataPlaneEnrollInput!) { dataPlaneEnroll(input: $input) { enrollmentToken } }`
  const input = { idempotencyKey: 'fleet', name: 'fleet', adapter: 'STANDALONE' }
  const { dataPlaneEnroll } = await house.ask<{ dataPlaneEnroll: { enrollmentToken: string } }>(document, { input })
  for (const gateway of house.gateways) await gateway.start({ SLUICE_PLANE_TOKEN: dataPlaneEnroll.enrollmentToken })
}

async function command(house: CrashHouse, ...args: string[]): Promise<string> {
  const child = Bun.spawn([process.execPath, 'cli/sluice.ts', ...args], {
    cwd: join(import.meta.dirname, '../..'),
    env: { ...process.env, SLUICE_DATA_DIR: house.controlDir, SLUICE_CONTROL_URL: house.controlUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const out = await new Response(child.stdout).text()
  if ((await child.exited) !== 0) throw new Error(`sluice ${args.join(' ')} failed; what it said is above`)
  return out
}

/** A thousand requests at once, and kills while they run; then a little more money, and again. */
async function waveAfterWave(scene: Scene, seed: number): Promise<void> {
  const { questions, load, say } = scene
  for (let wave = 1; wave <= killsOf.length; wave++) {
    if (wave > 1) await raiseLimits(scene)
    const asked = makeQuestions(seed * 31 + wave, questions.length, requestsPerWave)
    questions.push(...asked)
    const startedMs = performance.now()
    await Promise.all([load.wave(asked), killings(scene, killsOf[wave - 1]!)])
    const outcomes = Object.entries(Object.groupBy(load.answered.slice(-asked.length), ({ outcome }) => outcome))
    const told = outcomes.map(([outcome, some]) => `${some!.length} ${outcome}`).join(', ')
    say(`wave ${wave} of ${killsOf.length} took ${((performance.now() - startedMs) / 1_000).toFixed(1)} s: ${told}`)
  }
}

async function raiseLimits(scene: Scene): Promise<void> {
  const { budgets, limits } = scene
  for (const budget of budgets) budget.limit = (budget.limit * raise) / 10n
  await scene.declare(budgetDocuments(budgets))
  const raised = [...limits.at(-1)!.limits].map(([counter, limit]) => [counter, (limit * raise) / 10n] as const)
  limits.push({ fromMs: Date.now(), limits: new Map(raised) })
}

/** Kills at random moments and starts what was killed again at once. */
async function killings({ house, chance, stranded, say }: Scene, kills: (typeof killsOf)[number]): Promise<void> {
  const startedMs = performance.now()
  const back: Promise<void>[] = []
  for (const { who, least, most } of kills) {
    await Bun.sleep(Math.max(0, startedMs + chance.between(least, most) - performance.now()))
    const dead = who.includes('gateway') ? chance.shuffled(house.gateways).slice(0, 1) : []
    const isAlone = !who.includes('control')
    const victims = isAlone ? dead : [...dead, house.control]
    await Promise.all(victims.map((victim) => victim.kill9()))
    // Without the control plane nobody reaches anybody's money, until each gateway has found it again.
    const lost = await strandedAt(house.database.url, (isAlone ? dead : house.gateways).map(instanceOf))
    await Promise.all(victims.map((victim) => victim.start()))
    const entry = { ...lost, toMs: Date.now() + reportedWithinMs }
    stranded.push(entry)
    if (!isAlone) back.push(linkedAgain(entry))
    say(`killed ${victims.map(({ name }) => name).join(' and ')}, which serves again`)
  }
  await Promise.all(back)

  async function linkedAgain(entry: Stranded): Promise<void> {
    await linkedSince(house.database.url, entry.fromMs, gateways)
    entry.toMs = Math.max(entry.toMs, Date.now() + reportedWithinMs)
  }
}

const instanceOf = ({ dataDir }: { dataDir: string }): string =>
  JSON.parse(readFileSync(join(dataDir, 'gateway/instance.json'), 'utf8')).instance
