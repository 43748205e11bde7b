import type { Resource } from '../../schema/config/index.ts'
import type { Kind } from '../../schema/handles.ts'
import type { Actor } from './actor.ts'
import type { Context } from './context.ts'
import type { Written } from './errors.ts'
import type { Plan } from './plan.ts'

export interface ApplyInput {
  resources: { kind: Kind; input: Record<string, unknown> }[]
  ifRevision: number
  dryRun: boolean
  planDigest?: string | null
  prune?: Record<string, string> | null
  reason?: string | null
}

export interface Applied extends Written {
  plan: Plan | null
  /** The tenant's revision afterwards; unchanged on a dry run or a refusal. */
  revision: number
  /** As they stand (on a dry run: would stand) afterwards, in the order of the input, then what was pruned. */
  resources: Resource[]
}

/** Creates and changes any resources, all or nothing. */
export async function apply(ctx: Context, actor: Actor, input: ApplyInput): Promise<Applied> {
  void ctx, actor, input
  throw new Error('not built yet')
}

export interface ArchiveInput {
  refs: string[]
  ifRevision: number
  dryRun: boolean
  reason?: string | null
}

/** Retires resources. What something else still names is refused, unless that is archived together with it. */
export async function archive(ctx: Context, actor: Actor, input: ArchiveInput): Promise<Applied> {
  void ctx, actor, input
  throw new Error('not built yet')
}
