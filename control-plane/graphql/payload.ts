import type { InputRef, InterfaceRef, ObjectRef } from '@pothos/core'
import type { Actor } from '../domain/actor.ts'
import type { Context } from '../domain/context.ts'
import type { Written } from '../domain/errors.ts'
import { builder, type Types } from './builder.ts'
import { AuditEntry } from './refs.ts'
import { UserErrorType } from './user-errors.ts'

/** What every write answers with. */
const Payload: InterfaceRef<Types, Written> = builder.interfaceRef<Written>('Payload').implement({
  description: 'What every write answers with.',
  resolveType: () => {
    throw new Error('No field answers a bare Payload.')
  },
  fields: (t) => ({
    errors: t.expose('errors', { type: [UserErrorType] }),
    audit: t.expose('audit', { type: AuditEntry, nullable: true }),
    cursor: t.expose('cursor', { type: 'Cursor', nullable: true }),
  }),
})

type Fields<Shape> = (t: PothosSchemaTypes.ObjectFieldBuilder<Types, Shape>) => Record<string, never>

/** A payload type: errors, audit entry and cursor, and what this write gives beside them. */
export function payload<Shape extends Written>(
  name: string,
  fields: (t: PothosSchemaTypes.ObjectFieldBuilder<Types, Shape>) => object,
  description?: string,
): ObjectRef<Types, Shape> {
  const ref = builder.objectRef<Shape>(name)
  ref.implement({ description, interfaces: [Payload], fields: fields as unknown as Fields<Shape> } as never)
  return ref as ObjectRef<Types, Shape>
}

/**
 * A mutation: one `input`, one payload, one call into the domain. Permission, tenant, transaction, idempotency, audit entry and
 * event are the domain's, so that every host and the CLI get the same.
 */
export function mutation<Input, Shape extends Written>(
  name: string,
  options: {
    input: InputRef<Input>
    payload: ObjectRef<Types, Shape>
    description?: string
    run: (ctx: Context, actor: Actor, input: Input) => Promise<Shape>
  },
): void {
  builder.mutationField(name, (t) =>
    t.field({
      type: options.payload,
      description: options.description,
      args: { input: t.arg({ type: options.input, required: true }) },
      resolve: ((_: unknown, { input }: { input: Input }, { domain, actor }: { domain: Context; actor: Actor }) =>
        options.run(domain, actor, input)) as never,
    }),
  )
}
