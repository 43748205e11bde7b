import type { Kind } from '../../schema/handles.ts'
import { type Applied, apply, archive } from '../domain/apply.ts'
import type { FieldChange as FieldChangeShape } from '../domain/audit.ts'
import type { Change as ChangeShape, Plan as PlanShape } from '../domain/plan.ts'
import { restore } from '../domain/restore.ts'
import { revert } from '../domain/revert.ts'
import { builder } from './builder.ts'
import { resourceInput } from './config-inputs.ts'
import { mutation, payload } from './payload.ts'
import { ResourceType } from './refs.ts'

export const FieldChange = builder.objectRef<FieldChangeShape>('FieldChange').implement({
  fields: (t) => ({
    path: t.exposeStringList('path'),
    before: t.exposeString('before', { nullable: true }),
    after: t.exposeString('after', { nullable: true }),
  }),
})

const ChangeAction = builder.enumType('ChangeAction', {
  values: ['CREATE', 'UPDATE', 'ARCHIVE', 'RESTORE', 'UNCHANGED'] as const,
})

export const Change = builder.objectRef<ChangeShape>('Change').implement({
  fields: (t) => ({
    action: t.expose('action', { type: ChangeAction }),
    ref: t.expose('ref', { type: 'Ref' }),
    fields: t.expose('fields', { type: [FieldChange] }),
  }),
})

const PlanWarning = builder.objectRef<PlanShape['warnings'][number]>('PlanWarning').implement({
  fields: (t) => ({ path: t.exposeStringList('path'), message: t.exposeString('message') }),
})

const PlanImpact = builder.objectRef<PlanShape['impact']>('PlanImpact').implement({
  fields: (t) => ({
    projects: t.expose('projects', { type: 'SafeInt' }),
    apiKeys: t.expose('apiKeys', { type: 'SafeInt' }),
    dataPlanes: t.expose('dataPlanes', { type: 'SafeInt' }),
    requestsLastDay: t.expose('requestsLastDay', { type: 'SafeInt' }),
  }),
})

const Plan = builder.objectRef<PlanShape>('Plan').implement({
  fields: (t) => ({
    digest: t.exposeString('digest'),
    baseRevision: t.expose('baseRevision', { type: 'SafeInt' }),
    changes: t.expose('changes', { type: [Change] }),
    warnings: t.expose('warnings', { type: [PlanWarning] }),
    impact: t.expose('impact', { type: PlanImpact }),
  }),
})

const ApplyPayload = payload<Applied>('ApplyPayload', (t) => ({
  plan: t.expose('plan', { type: Plan, nullable: true }),
  revision: t.expose('revision', {
    type: 'SafeInt',
    description: "The tenant's configuration revision after this write (unchanged on dry run or refusal).",
  }),
  resources: t.expose('resources', { type: [ResourceType] }),
}))

const ApplyInput = builder.inputType('ApplyInput', {
  fields: (t) => ({
    resources: t.field({ type: [resourceInput], required: true }),
    ifRevision: t.field({
      type: 'SafeInt',
      required: true,
      description:
        'The revision this was written against. Refused if anything it touches changed since; unrelated changes do not matter.',
    }),
    dryRun: t.boolean({ required: true, defaultValue: false, description: 'Plan only. Nothing is written.' }),
    planDigest: t.string({ description: 'Digest of a plan that was reviewed; refuses if the plan would now differ.' }),
    prune: t.field({
      type: 'Labels',
      description: 'Archive resources with these labels that the input does not mention. At least one label.',
    }),
    reason: t.string(),
  }),
})

const ArchiveInput = builder.inputType('ArchiveInput', {
  fields: (t) => ({
    refs: t.field({ type: ['Ref'], required: true }),
    ifRevision: t.field({ type: 'SafeInt', required: true }),
    dryRun: t.boolean({ required: true, defaultValue: false }),
    planDigest: t.string(),
    reason: t.string(),
  }),
})

const RevertInput = builder.inputType('RevertInput', {
  fields: (t) => ({
    toRevision: t.field({ type: 'SafeInt', required: true }),
    ifRevision: t.field({ type: 'SafeInt', required: true }),
    dryRun: t.boolean({ required: true, defaultValue: false }),
    planDigest: t.string(),
    reason: t.string(),
  }),
})

mutation('apply', {
  description: 'Create or change any number of resources, all or nothing.',
  input: ApplyInput,
  payload: ApplyPayload,
  run: (ctx, actor, input) => apply(ctx, actor, { ...input, resources: input.resources.map(kindAndInput) }),
})

mutation('archive', {
  description: 'Retire resources. What is still named by others is refused, unless those are archived with it.',
  input: ArchiveInput,
  payload: ApplyPayload,
  run: archive,
})

mutation('restore', {
  description:
    'Bring archived resources back as they were. A handle names the one of that name that was archived last. What they name must ' +
    'be there, or be restored with them. Secrets of keys stay revoked.',
  input: ArchiveInput,
  payload: ApplyPayload,
  run: restore,
})

mutation('revert', {
  description:
    'Declare again what an earlier revision declared, as a new revision. Keys and data planes that were issued since stay, and so ' +
    'do all secrets; the warnings of the plan name them.',
  input: RevertInput,
  payload: ApplyPayload,
  run: revert,
})

/** The one member of a ResourceInput. What was left out stays absent and what was null stays null: `apply` tells them apart. */
function kindAndInput(resource: object) {
  const [kind, input] = Object.entries(resource)[0] as [Kind, Record<string, unknown>]
  return { kind, input }
}
