import type { Limiter } from './limiter.ts'

/** Has room for everything: what is asked without being sent takes nothing from anybody. */
export const unlimited: Limiter = {
  sharing: 'SINGLE_PLANE',
  take: (_tenant, asks) => ({
    taken: true,
    standings: asks.map((ask) => ({ ...ask, isOver: false, waitMs: 0, left: ask.units, fullMs: 0, taken: null })),
  }),
  settle: () => {},
}
