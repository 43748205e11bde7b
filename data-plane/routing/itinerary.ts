import type { RetryCause } from '../../schema/config/index.ts'
import type { Refusal } from '../../schema/refusals.ts'
import type { RunningModel, RunningRoute } from '../snapshot/running.ts'
import type { Target } from './target.ts'

/** Why a target is not tried, or no more. */
export type Omission =
  | ('resting' | 'not_spoken' | 'not_matching' | 'no_weight')
  | ('unsupported_feature' | 'rate_limited' | 'concurrency_exceeded')

export interface Omitted {
  readonly model: RunningModel
  readonly why: Omission
}

/** Causes that another try with the same credential would meet again. */
const ofCredential: ReadonlySet<RetryCause> = new Set(['AUTH_FAILED', 'RATE_LIMITED'])

/** Causes that another try at the same model would meet again. */
const ofRequest: ReadonlySet<RetryCause> = new Set(['CONTEXT_TOO_LONG', 'CONTENT_FILTERED'])

/** The targets of a request in the order they are tried, and why in this order. The first is the one to try next. */
export class Itinerary {
  readonly route: RunningRoute
  readonly targets: Target[]
  /** How the first came to be first; codes and figures, no names. */
  readonly choice: string
  readonly omitted: Omitted[]
  /** Where there is no target at all. */
  readonly refusal: Refusal | undefined

  constructor(route: RunningRoute, targets: Target[], choice: string, omitted: Omitted[], refusal?: Refusal) {
    this.route = route
    this.targets = targets
    this.choice = choice
    this.omitted = omitted
    this.refusal = refusal
  }

  /** For the record, which holds no names. */
  get reason(): string {
    return this.omitted.length === 0 ? this.choice : this.reasonWith(({ id }) => id)
  }

  /** Which strategy, why this target first, and which were left out and why. */
  reasonWith(name: (model: RunningModel) => string): string {
    const groups = Map.groupBy(this.omitted, ({ why }) => why)
    const told = [...groups].map(([why, of]) => `${why} ${listed(of.map(({ model }) => name(model)))}`)
    return [this.choice, ...told].join('; ')
  }

  /** The first cannot express the request, or its limits do not admit it: it is passed over, while another is there. False where there is none. */
  passOver(why: Omission): boolean {
    if (this.targets.length < 2) return false
    const [{ model }] = this.targets.splice(0, 1) as [Target]
    this.omitted.push({ model, why })
    return true
  }

  /**
   * Whether to make another attempt after one that failed for this cause; if so, its target is first. The route says which causes
   * are worth it. A credential that is not accepted does not speak against the model, while that has another.
   */
  goesOn(cause: RetryCause): boolean {
    const isWorthIt = this.route.retry.on.includes(cause) || (cause === 'AUTH_FAILED' && this.#hasOtherCredential)
    return isWorthIt && this.#moveOn(cause)
  }

  /**
   * Puts the next target first after an attempt that failed at the first. False where none is left that could do better: what the
   * credential was refused for is not asked with it again, nor what the model cannot take at the same model.
   */
  #moveOn(cause: RetryCause): boolean {
    const failed = this.targets[0]!
    const rest = this.targets.slice(1)
    const next = ofRequest.has(cause)
      ? rest.filter(({ key }) => key !== failed.key)
      : cause === 'AUTH_FAILED'
        ? firstOfModel(
            rest.filter((target) => !sharesCredential(target, failed)),
            failed,
          )
        : [...(ofCredential.has(cause) ? sparing(rest, failed) : rest), failed]
    this.targets.splice(0, this.targets.length, ...next)
    return next.length > 0
  }

  get #hasOtherCredential(): boolean {
    const [first, ...rest] = this.targets
    return rest.some((target) => target.key === first!.key && !sharesCredential(target, first!))
  }
}

const sharesCredential = (one: Target, other: Target) =>
  one.credential === null ? one === other : one.credential === other.credential

/** The same model with another credential comes first: nothing speaks against the model. */
function firstOfModel(rest: readonly Target[], failed: Target): Target[] {
  const isSame = ({ key }: Target) => key === failed.key
  return [...rest.filter(isSame), ...rest.filter((target) => !isSame(target))]
}

/** What has the failed credential comes last. */
function sparing(rest: readonly Target[], failed: Target): Target[] {
  const shares = (target: Target) => sharesCredential(target, failed)
  return [
    ...firstOfModel(
      rest.filter((target) => !shares(target)),
      failed,
    ),
    ...rest.filter(shares),
  ]
}

const namesMax = 8

function listed(names: readonly string[]): string {
  const distinct = [...new Set(names)]
  const more = distinct.length > namesMax ? ` and ${distinct.length - namesMax} more` : ''
  return `${distinct.slice(0, namesMax).join(', ')}${more}`
}
