import { sql } from 'drizzle-orm'
import type { Context } from '../domain/context.ts'

const readyWaitMs = 2_000

/** Ready = the database answers, within two seconds. */
export async function databaseAnswers(ctx: Context): Promise<boolean> {
  let timer: ReturnType<typeof setTimeout>
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(resolve, readyWaitMs, false)
  })
  const asked = ctx.db
    .withInstallation((tx) => tx.execute(sql`select 1`))
    .then(
      () => true,
      () => false,
    )
  return Promise.race([asked, late]).finally(() => clearTimeout(timer))
}
