import type { Actor } from '../domain/actor.ts'
import type { Context } from '../domain/context.ts'
import type { Charge } from './quota.ts'

/** What every resolver has at hand. A host makes one per operation. */
export interface GraphContext {
  domain: Context
  actor: Actor
  requestId: string
  /** Looks the actor up again; undefined once its key, session or principal is gone. Long streams ask now and then. */
  recheck: () => Promise<Actor | undefined>
  /** What the operation cost, once it was charged. */
  charge?: Charge
}
