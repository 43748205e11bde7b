import { configEnum } from './config-inputs.ts'
import { ofKind } from './organisation.ts'
import { Scope } from './policy.ts'
import { Node, RateLimit, ResourceType } from './refs.ts'

RateLimit.implement({
  description: 'How many requests or tokens a scope may have in any interval of time, or how many requests at once.',
  interfaces: [Node, ResourceType],
  isTypeOf: ofKind('rateLimit'),
  fields: (t) => ({
    scope: t.field({ type: Scope, resolve: ({ spec }) => ({ stored: spec.scope }) }),
    per: t.field({
      type: configEnum('CounterPer'),
      nullable: true,
      description: 'One counter for each … inside the scope. Null: one for the whole scope.',
      resolve: ({ spec }) => spec.per,
    }),
    mode: t.field({
      type: configEnum('PolicyMode'),
      description: 'OBSERVE refuses nothing: records say what it would have refused.',
      resolve: ({ spec }) => spec.mode,
    }),
    unit: t.field({ type: configEnum('RateUnit'), resolve: ({ spec }) => spec.unit }),
    limit: t.field({
      type: 'SafeInt',
      description: 'What flows back in each window; of CONCURRENT_REQUESTS the most at once.',
      resolve: ({ spec }) => spec.limit,
    }),
    window: t.field({
      type: 'Duration',
      nullable: true,
      description: 'Unused for CONCURRENT_REQUESTS.',
      resolve: ({ spec }) => spec.window,
    }),
    burst: t.field({
      type: 'SafeInt',
      nullable: true,
      description:
        'At most limit + burst are admitted in any interval as long as the window. Null = as many as the limit.',
      resolve: ({ spec }) => spec.burst,
    }),
  }),
})
