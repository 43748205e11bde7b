import { builder } from './builder.ts'
import type { Charge } from './quota.ts'

const ApiQuota = builder.objectRef<Charge>('ApiQuota').implement({
  description: 'Points of this caller in this minute, on the replica that answers. Streams cost once, when they begin.',
  fields: (t) => ({
    cost: t.exposeInt('cost', { description: 'Of this very operation.' }),
    remaining: t.exposeInt('remaining'),
    limit: t.exposeInt('limit'),
    resetsAt: t.expose('resetsAt', { type: 'DateTime' }),
  }),
})

builder.queryField('apiQuota', (t) =>
  t.field({
    type: ApiQuota,
    resolve: (_, _args, { charge }) => {
      if (!charge) throw new Error('the host did not charge this operation')
      return charge
    },
  }),
)
