import type { Resource } from '../../schema/config/index.ts'
import type { Permission } from '../../schema/permissions.ts'
import type { AuditRow } from './audit.ts'

export const errorCodes = [
  'INVALID_INPUT',
  'NOT_FOUND',
  'NAME_TAKEN',
  'STALE_REVISION',
  'STALE_PLAN',
  'STILL_REFERENCED',
  'NOT_PERMITTED',
  'IDEMPOTENCY_KEY_REUSED',
  'LIMIT_REACHED',
  'NO_GATEWAY',
] as const
export type ErrorCode = (typeof errorCodes)[number]

interface Shared<Type extends string, Code extends ErrorCode> {
  /** The GraphQL type. */
  type: Type
  code: Code
  message: string
  /** Into the input: `['resources', '3', 'model', 'provider']`. */
  path: string[]
}

/** A refusal the caller can act on. */
export type UserError =
  | (Shared<'InvalidInput', 'INVALID_INPUT'> & { expected: string | null })
  | (Shared<'NotFound', 'NOT_FOUND'> & { ref: string })
  | (Shared<'NameTaken', 'NAME_TAKEN'> & { holder: Resource })
  | (Shared<'StaleRevision', 'STALE_REVISION'> & { yours: number; current: number })
  | (Shared<'StalePlan', 'STALE_PLAN'> & { planned: string; current: string })
  | (Shared<'StillReferenced', 'STILL_REFERENCED'> & { by: Resource[] })
  | (Shared<'NotPermitted', 'NOT_PERMITTED'> & { permission: string })
  | (Shared<'KeyReused', 'IDEMPOTENCY_KEY_REUSED'> & { firstUsedAt: Date })
  | (Shared<'LimitReached', 'LIMIT_REACHED'> & { limit: number })
  | Shared<'NoGateway', 'NO_GATEWAY'>

type Path = (string | number)[]
const pathOf = (path: Path) => path.map(String)

export const invalidInput = (path: Path, message: string, expected: string | null = null): UserError => ({
  type: 'InvalidInput',
  code: 'INVALID_INPUT',
  message,
  path: pathOf(path),
  expected,
})

/** The same text for what is not there and what may not be seen. */
export const notFound = (path: Path, ref: string): UserError => ({
  type: 'NotFound',
  code: 'NOT_FOUND',
  message: `There is no ${ref}.`,
  path: pathOf(path),
  ref,
})

export const nameTaken = (path: Path, holder: Resource): UserError => ({
  type: 'NameTaken',
  code: 'NAME_TAKEN',
  message: `The name ${holder.name} is taken by ${holder.id}.`,
  path: pathOf(path),
  holder,
})

export const staleRevision = (path: Path, what: string, yours: number, current: number): UserError => ({
  type: 'StaleRevision',
  code: 'STALE_REVISION',
  message: `${what} changed at revision ${current}, after revision ${yours} that this was written against.`,
  path: pathOf(path),
  yours,
  current,
})

export const stalePlan = (planned: string, current: string): UserError => ({
  type: 'StalePlan',
  code: 'STALE_PLAN',
  message: 'The plan would now differ from the one that was reviewed.',
  path: ['planDigest'],
  planned,
  current,
})

export const stillReferenced = (path: Path, handle: string, by: Resource[]): UserError => ({
  type: 'StillReferenced',
  code: 'STILL_REFERENCED',
  message: `${handle} is still named by ${by.length === 1 ? 'another resource' : `${by.length} other resources`}.`,
  path: pathOf(path),
  by,
})

export const notPermitted = (permission: Permission, path: Path = []): UserError => ({
  type: 'NotPermitted',
  code: 'NOT_PERMITTED',
  message: `This needs the permission ${permission}.`,
  path: pathOf(path),
  permission,
})

export const keyReused = (firstUsedAt: Date): UserError => ({
  type: 'KeyReused',
  code: 'IDEMPOTENCY_KEY_REUSED',
  message: 'This idempotency key was used for another request.',
  path: ['idempotencyKey'],
  firstUsedAt,
})

export const limitReached = (path: Path, what: string, limit: number): UserError => ({
  type: 'LimitReached',
  code: 'LIMIT_REACHED',
  message: `At most ${limit} ${what}.`,
  path: pathOf(path),
  limit,
})

/** What only a gateway can do, and none is there for it. */
export const noGateway = (message: string): UserError => ({ type: 'NoGateway', code: 'NO_GATEWAY', message, path: [] })

/** What every write answers with. `cursor` is the log position of its audit entry, null where it has none yet. */
export interface Written {
  errors: UserError[]
  audit: AuditRow | null
  cursor: string | null
}
