import type { Client } from '../api/client.ts'
import { carryOut, isUnchanged, makePlan, type Planned, type Wanted } from '../files/plan.ts'
import type { ExitCode, Io } from '../io.ts'
import { formatPlan, summaryOf } from '../output/plan.ts'
import { type Format, show } from '../output/show.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'

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
  const asked = await agree(io, planned, manner)
  if (asked !== true) return asked
  const applied = await carryOut(client, wanted, planned)
  if (isFailed(applied)) return applied
  showPlan(io, manner.format, planned, applied.revision)
  io.err(`Applied as revision ${applied.revision}.\n`)
  return 0
}

/** True where it may go on. Shows the plan on stderr where a person has to judge it. */
async function agree(io: Io, { plan }: Planned, { yes, stdinUsed, format }: Manner): Promise<true | ExitCode | Failed> {
  if (yes) return true
  if (!io.isStdinTty || !io.isStderrTty || stdinUsed) {
    io.err(`${summaryOf(plan)}\n`)
    return failed('NOT_CONFIRMED', 'Nobody can be asked here.', {
      advice: '--plan-only shows the plan; --yes applies it without asking',
    })
  }
  if (format !== 'table' || !io.isStdoutTty) io.err(formatPlan({ ...io, isStdoutTty: io.isStderrTty }, plan))
  else io.out(formatPlan(io, plan))
  if (await io.confirm('Apply this?')) return true
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
