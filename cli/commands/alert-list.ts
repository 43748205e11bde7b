import { type Client, openClient } from '../api/client.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { formatTable } from '../output/table.ts'
import { type Failed, isFailed } from '../trouble.ts'

interface Alert {
  id: string
  trigger: string
  severity: string
  at: string
  summary: string
  rule: { handle: string } | null
  subject: { handle: string } | null
  resolvedAt: string | null
  acknowledgedBy: { name: string } | null
}

const query = `query Alerts($open: Boolean, $after: Cursor) {
  alerts(open: $open, first: 100, after: $after) {
    nodes { id trigger severity at summary rule { handle } subject { handle } resolvedAt acknowledgedBy { name } }
    pageInfo { hasNextPage endCursor }
  }
}`

interface Page {
  alerts: { nodes: Alert[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } }
}

const pagesMax = 10

export default command({
  name: 'alert list',
  description: 'Shows the alerts that are open, the newest first. At most 1,000.',
  example: 'sluice alert list\nsluice alert list --all -o json',
  options: { all: { type: 'boolean', description: 'those that are over, too' } },
  async run({ options, format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const alerts = await readAlerts(client, options.all ? null : true)
    if (isFailed(alerts)) return alerts
    show(io, format, {
      data: alerts,
      names: () => alerts.map(({ id }) => id),
      table: () =>
        formatTable(alerts, [
          { title: 'SINCE', value: ({ at }) => at },
          { title: 'SEVERITY', value: ({ severity }) => severity.toLowerCase() },
          { title: 'STATE', value: stateOf },
          { title: 'WHAT', value: ({ summary }) => summary },
        ]),
    })
    return 0
  },
})

const stateOf = ({ resolvedAt, acknowledgedBy }: Alert) => {
  if (resolvedAt !== null) return 'over'
  return acknowledgedBy ? `seen by ${acknowledgedBy.name}` : 'open'
}

async function readAlerts(client: Client, open: boolean | null): Promise<Alert[] | Failed> {
  const rows: Alert[] = []
  let after: string | null = null
  for (let page = 0; page < pagesMax; page++) {
    const answer: Page | Failed = await client.ask<Page>(query, { open, after })
    if (isFailed(answer)) return answer
    rows.push(...answer.alerts.nodes)
    if (!answer.alerts.pageInfo.hasNextPage) break
    after = answer.alerts.pageInfo.endCursor
  }
  return rows
}
