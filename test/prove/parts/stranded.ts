import postgres from 'postgres'
import { parseAmount } from '../../../schema/money.ts'
import { counterName } from './budget-declaration.ts'
import type { Stranded } from './budget-trace.ts'

const relinkedWithinMs = 15_000

/** Waits until each of so many instances has opened a link since: until then nobody can ask it for its money. */
export async function linkedSince(databaseUrl: string, sinceMs: number, instances: number): Promise<void> {
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} })
  const untilMs = performance.now() + relinkedWithinMs
  try {
    for (;;) {
      const linked = await sql`select id from instance group by id having max(started_at) > ${new Date(sinceMs)}`
      if (linked.length >= instances || performance.now() > untilMs) return
      await Bun.sleep(25)
    }
  } finally {
    await sql.end()
  }
}

/** What the leases of instances that were just killed still hold, by the database itself. */
export async function strandedAt(databaseUrl: string, instances: readonly string[]): Promise<Omit<Stranded, 'toMs'>> {
  const fromMs = Date.now()
  if (instances.length === 0) return { fromMs, amounts: new Map() }
  const sql = postgres(databaseUrl, { max: 1, onnotice: () => {} })
  try {
    const rows = await sql`
      select r.name, l.subject, sum(l.granted - l.returned - l.posted)::text as amount
      from lease l join resource r on r.tenant = l.tenant and r.id = l.budget
      where l.instance in ${sql(instances)}
      group by r.name, l.subject`
    const amounts = rows.map((row) => {
      const subject = row.subject === '' ? null : (row.subject as string)
      return [counterName(row.name as string, subject), parseAmount(row.amount as string)!] as const
    })
    return { fromMs, amounts: new Map(amounts) }
  } finally {
    await sql.end()
  }
}
