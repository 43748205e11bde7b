import { errorCodes, type UserError } from '../domain/errors.ts'
import { builder } from './builder.ts'
import { ResourceType } from './refs.ts'

/** Refusals a caller can act on: a list in every payload. Scripts read the shared fields; pages add fragments. */
const ErrorCode = builder.enumType('ErrorCode', { values: errorCodes })

export const UserErrorType = builder.interfaceRef<UserError>('UserError').implement({
  description: 'A refusal the caller can act on. Scripts read these fields; UIs add fragments.',
  resolveType: (error) => error.type,
  fields: (t) => ({
    code: t.expose('code', { type: ErrorCode }),
    message: t.exposeString('message'),
    path: t.exposeStringList('path'),
  }),
})

/** The concrete type of one refusal. */
const refusal = <Type extends UserError['type']>(type: Type) =>
  builder.objectRef<Extract<UserError, { type: Type }>>(type)

const interfaces = [UserErrorType]

refusal('InvalidInput').implement({
  interfaces,
  fields: (t) => ({ expected: t.exposeString('expected', { nullable: true }) }),
})
refusal('NotFound').implement({ interfaces, fields: (t) => ({ ref: t.expose('ref', { type: 'Ref' }) }) })
refusal('NameTaken').implement({ interfaces, fields: (t) => ({ holder: t.expose('holder', { type: ResourceType }) }) })
refusal('StaleRevision').implement({
  interfaces,
  fields: (t) => ({ yours: t.expose('yours', { type: 'SafeInt' }), current: t.expose('current', { type: 'SafeInt' }) }),
})
refusal('StalePlan').implement({
  interfaces,
  fields: (t) => ({ planned: t.exposeString('planned'), current: t.exposeString('current') }),
})
refusal('StillReferenced').implement({ interfaces, fields: (t) => ({ by: t.expose('by', { type: [ResourceType] }) }) })
refusal('NotPermitted').implement({ interfaces, fields: (t) => ({ permission: t.exposeString('permission') }) })
refusal('KeyReused').implement({
  interfaces,
  fields: (t) => ({ firstUsedAt: t.expose('firstUsedAt', { type: 'DateTime' }) }),
})
refusal('LimitReached').implement({ interfaces, fields: (t) => ({ limit: t.expose('limit', { type: 'SafeInt' }) }) })
refusal('NoGateway').implement({
  description: 'Only a gateway can do this, and none is connected that can.',
  interfaces,
})
