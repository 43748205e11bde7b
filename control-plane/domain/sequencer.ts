import type { Context } from './context.ts'

export interface Sequencer {
  /** Numbers everything that is pending now; for tests and an orderly stop. */
  drain(): Promise<void>
  stop(): Promise<void>
}

/** Numbers pending audit entries, records and events of every tenant, woken by notifications and every 250 ms while there is work. */
export function startSequencer(ctx: Context): Promise<Sequencer> {
  void ctx
  throw new Error('not built yet')
}
