import type { Client } from '../api/client.ts'
import type { Option } from '../command.ts'
import { carryOut, isUnchanged, makePlan, type Planned, type Wanted } from '../files/plan.ts'
import type { ExitCode, Io } from '../io.ts'
import { formatPlan, summaryOf } from '../output/plan.ts'
import { type Format, show } from '../output/show.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'

/** Options of every command that plans and applies. */
export const manner = {
  reason: { type: 'string', hint: 'text', description: 'kept in the audit log' },
  yes: { type: 'boolean', short: 'y', description: 'do not ask' },
  'plan-only': { type: 'boolean', description: 'show the plan and change nothing' },
} as const satisfies Record<string, Option>

export interface Manner {
  format: Format
  /** Do not ask. */
  yes: boolean
  planOnly: boolean
  /** Standard input was read already, so that nobody can be asked. */
  stdinUsed?: boolean
}

/** Plan, show, ask, apply: the one way in which this CLI declares anything. */
export async function planAndApply(io: Io, client: Client, wanted: Wanted, manner: Manner): Promise<ExitCode | Failed> {
  const planned = await makePlan(client, wanted)
  if (isFailed(planned)) return planned
  const same = isUnchanged(planned.plan)
  if (manner.planOnly || same) {
    showPlan(io, manner.format, planned, planned.revision)
    return 0
  }
  const agreed = await agree(io, planned, manner)
  if (agreed !== 'UNASKED' && agreed !== 'SHOWN') return agreed
  const applied = await carryOut(client, wanted, planned)
  if (isFailed(applied)) return applied
  if (agreed === 'UNASKED' || manner.format !== 'table') showPlan(io, manner.format, planned, applied.revision)
  io.err(`Applied as revision ${applied.revision}.\n`)
  return 0
}

/** Whether it may go on, and whether a person was shown the plan for that; else the end. */
async function agree(
  io: Io,
  { plan }: Planned,
  { yes, stdinUsed, format }: Manner,
): Promise<'UNASKED' | 'SHOWN' | ExitCode | Failed> {
  if (yes) return 'UNASKED'
  if (!io.isStdinTty || !io.isStderrTty || stdinUsed) {
    io.err(`${summaryOf(plan)}\n`)
    return failed('NOT_CONFIRMED', 'Nobody can be asked here.', {
      advice: '--plan-only shows the plan; --yes applies it without asking',
    })
  }
  if (format === 'table') io.out(formatPlan(io, plan))
  else io.err(formatPlan({ env: io.env, isStdoutTty: io.isStderrTty }, plan))
  if (await io.confirm('Apply this?')) return 'SHOWN'
  io.err('Nothing was changed.\n')
  return 3
}

function showPlan(io: Io, format: Format, { plan }: Planned, revision: number): void {
  show(io, format, {
    data: { revision, plan },
    table: () => formatPlan(io, plan),
    names: () => plan.changes.filter(({ action }) => action !== 'UNCHANGED').map(({ ref }) => ref),
  })
}
