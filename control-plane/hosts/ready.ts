import { sql } from 'drizzle-orm'
import type { Context } from '../domain/context.ts'

const readyWaitMs = 2_000

/** Of `/readyz`: one line, and whether this control plane should be asked at all. */
export interface Readiness {
  ready: boolean
  line: string
}

const states = {
  READY: { ready: true, line: 'ready\n' },
  // Still ready: reads go on, and a standby may be all there is.
  READ_ONLY: { ready: true, line: 'ready for reads: the database takes no writes (it is read-only or a standby)\n' },
  AWAY: { ready: false, line: 'The database does not answer.\n' },
} satisfies Record<string, Readiness>

/** Ready = the database answers, within two seconds. */
export async function readinessOf(ctx: Context): Promise<Readiness> {
  let timer: ReturnType<typeof setTimeout>
  const late = new Promise<Readiness>((resolve) => {
    timer = setTimeout(resolve, readyWaitMs, states.AWAY)
  })
  const asked = ctx.db
    .withInstallation((tx) => tx.execute(sql`select current_setting('transaction_read_only') as answer`))
    .then(
      (rows) => ((rows as unknown as { answer: string }[])[0]?.answer === 'on' ? states.READ_ONLY : states.READY),
      () => states.AWAY,
    )
  return Promise.race([asked, late]).finally(() => clearTimeout(timer))
}
