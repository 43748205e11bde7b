import type { Scene } from '../budgets.ts'
import { balances, type Shown } from './budget-balances.ts'
import { countersOf } from './budget-declaration.ts'
import { type Asker, askers, cases, fillingQuestion, type Question, sizes } from './budget-questions.ts'

const atOnce = 2
const restMs = 30_000

/**
 * Small requests until nobody gets any: every budget then is spent to its end, or lies below one that is. Narrow ones first, so
 * that what a wider one has left is not gone before.
 */
export async function fillUp(scene: Scene): Promise<void> {
  const { say } = scene
  await delivered(scene)
  const kinds = askers.flatMap((asker) => (asker.labelled ? cases : [null]).map((value) => ({ asker, value })))
  const narrowFirst = kinds.sort((a, b) => breadth(scene, b) - breadth(scene, a))
  let asked = 0
  for (const alike of Map.groupBy(narrowFirst, (kind) => breadth(scene, kind)).values())
    for (const count of await Promise.all(alike.map((kind) => exhaust(scene, kind)))) asked += count
  await delivered(scene)
  say(`${asked} small requests took what was left`)
}

const breadth = ({ budgets }: Scene, { asker, value }: { asker: Asker; value: string | null }) =>
  countersOf(budgets, { asker, case: value }).length

/** Two clients that ask until each is refused, for less and less. */
async function exhaust({ load, questions }: Scene, { asker, value }: { asker: Asker; value: string | null }) {
  let asked = 0
  const client = async (size: (typeof sizes)[number]) => {
    for (let outcome = 'answered'; outcome === 'answered'; asked++) {
      const question: Question = fillingQuestion(questions.length, asker, value, size)
      questions.push(question)
      outcome = (await load.ask(question)).outcome
    }
  }
  for (const size of sizes) await Promise.all(Array.from({ length: atOnce }, () => client(size)))
  return asked
}

/** Until every gateway has delivered what it recorded. */
export async function delivered({ house, checks }: Scene): Promise<void> {
  const deadlineMs = performance.now() + restMs
  while (performance.now() < deadlineMs) {
    const waiting = await Promise.all(house.gateways.map(({ ops }) => backlogOf(ops)))
    if (waiting.every((count) => count === 0)) return
    await Bun.sleep(100)
  }
  checks.that(false, `records still wait ${restMs / 1_000} s after the last request`)
}

async function backlogOf(ops: string): Promise<number> {
  return Number(/^sluice_record_backlog (\d+)/m.exec(await (await fetch(`${ops}/metrics`)).text())![1])
}

/** Gateways are stopped in order, so that they give back what they hold; then nothing may be leased. */
export async function atRest(scene: Scene): Promise<Shown[]> {
  const { house } = scene
  for (const gateway of house.gateways) await gateway.stop()
  const deadlineMs = performance.now() + 10_000
  let shown = await balances(house)
  while (shown.some(({ leased }) => leased !== 0n) && performance.now() < deadlineMs) {
    await Bun.sleep(250)
    shown = await balances(house)
  }
  return shown
}
