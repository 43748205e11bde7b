import type { RunningBudget } from '../../data-plane/budgets/book.ts'
import type { BudgetAction } from '../../schema/config/index.ts'
import { type Dice, diceOf } from './chance.ts'

/** Faults that a schedule may have; each is left out of some. */
export const faults = [
  ...(['KILL', 'POWER', 'CUT', 'LOSSY', 'CONTROL_CRASH', 'RESTORE', 'CLONE', 'SILENCE', 'CLOCK'] as const),
  ...(['LIMITS', 'OVERRUN', 'LEAVING', 'DRAIN', 'RETRY'] as const),
]
export type Fault = (typeof faults)[number]

export interface PlannedBudget extends RunningBudget {
  limit: bigint
  carryOver: boolean
  /** So many of its subjects ask; 0 = it has one counter. */
  subjects: number
}

/** All that is decided before a schedule begins. */
export interface Plan {
  seed: number
  planes: number
  replicas: number
  budgets: PlannedBudget[]
  faults: ReadonlySet<Fault>
  /** Of the control plane's clock when it begins, Unix milliseconds. */
  startMs: number
  /** Faults and requests come until then. */
  stormMs: number
  requests: number
  /** The smallest and the largest ceiling. */
  ceilings: { least: bigint; most: bigint }
  /** Mean of one way over the link, and of a sync. */
  delayMs: number
  syncMs: number
}

const cent = 10n ** 10n
const dayMs = 86_400_000
const midnight = Date.UTC(2026, 10, 23)
/** A schedule without faults shows whether refusals are right, one with a few what breaks, one with many what breaks together. */
const faultShares = [0, 0, 0.15, 0.15, 0.35, 0.6]

/** What a seed stands for. */
export function planOf(seed: number): Plan {
  const dice = diceOf(seed)
  const share = dice.pick(faultShares)
  const rare = new Set<Fault>(['CLONE', 'RESTORE', 'POWER'])
  const chosen = faults.filter((fault) => dice.odds(rare.has(fault) ? share / 2 : share))
  // Small worlds find most of it, and many fit into a minute; one of eight is large.
  const isLarge = dice.odds(0.125)
  const budgets = Array.from({ length: dice.int(1, isLarge ? 4 : 3) }, (_, at) => budgetOf(dice, at))
  const turns = budgets.some(({ rule }) => rule.period === 'DAY') && dice.odds(0.6)
  const stormMs = dice.pick(isLarge ? [30_000, 100_000, 200_000] : [2_000, 5_000, 10_000])
  return {
    ...{ seed, budgets, faults: new Set(chosen), stormMs },
    planes: isLarge ? dice.int(2, 5) : dice.pick([1, 2, 2, 3]),
    replicas: dice.odds(0.2) ? 2 : 1,
    startMs: midnight + (turns ? dayMs - dice.int(1_000, stormMs) : dice.int(dayMs / 8, dayMs / 2)),
    requests: isLarge ? dice.int(40, 120) : dice.int(8, 40),
    ceilings: { least: cent / 10n, most: cent * BigInt(dice.pick([1, 2, 8])) },
    delayMs: dice.pick([1, 5, 40]),
    syncMs: dice.pick([1, 4, 20]),
  }
}

const actions: readonly BudgetAction[] = ['BLOCK', 'BLOCK', 'BLOCK', 'CAP', 'DOWNGRADE', 'WARN']

function budgetOf(dice: Dice, at: number): PlannedBudget {
  const action = at === 0 ? dice.pick(actions.slice(0, 4)) : dice.pick(actions)
  const period = dice.pick(['LIFETIME', 'DAY', 'DAY', 'ROLLING'] as const)
  const id = `bud_${at}`
  return {
    ...{ id, name: id, action, isHard: action !== 'WARN', downgradeTo: null, depth: at },
    waitForFundsMs: dice.pick([0, 1_000, 1_000, 3_000]),
    // Three sub-windows: a ring turns over within a schedule.
    rule: { period, windowMs: period === 'ROLLING' ? 180_000 : null, timeZone: 'UTC', anchorMs: null },
    limit: cent * BigInt(dice.pick([0, 5, 20, 20, 60, 200])) + dice.amount(0n, cent),
    carryOver: period === 'DAY' && dice.odds(0.3),
    subjects: dice.odds(0.3) ? dice.int(1, 4) : 0,
  }
}
