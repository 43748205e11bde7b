import type { Io } from '../io.ts'
import { paint } from '../output/paint.ts'

/** What runs, for people and (`-o json`) for scripts. */
export interface Running {
  dashboard: string
  graphql: string
  gateway: string
  ops: string
  adminToken: string
  applicationKey: string
  model: string
  notes: string[]
}

/** The page that `up` prints: addresses, secrets of this installation, and a request that works as it stands. */
export function banner(running: Running, dataDir: string, io: Io): string {
  const { bold, dim } = paint(io.isStdoutTty, io.env)
  const rows = [
    ['dashboard', running.dashboard, 'opens once'],
    ['GraphQL', running.graphql, 'in a browser: GraphiQL'],
    ['gateway', running.gateway, "base URL of OpenAI's SDKs; Anthropic's and Google's take it without /v1"],
    ['admin token', running.adminToken, `kept in ${dataDir}/admin-token`],
    ['application key', running.applicationKey, `kept in ${dataDir}/application-key`],
  ]
  const width = Math.max(...rows.map(([, value]) => value!.length))
  const table = rows.map(([name, value, note]) => `  ${name!.padEnd(16)} ${value!.padEnd(width)}  ${dim(note!)}`)
  const notes = running.notes.map((note) => `  ${note}\n`)
  return `
${bold('Sluice is running.')}

${table.join('\n')}
${notes.length > 0 ? `\n${notes.join('')}` : ''}
${bold('A first request, as it stands:')}

${curl(running)}

Ctrl-C stops it.
`
}

function curl({ gateway, applicationKey, model }: Running): string {
  const body = JSON.stringify({ model, messages: [{ role: 'user', content: 'Hello, Sluice!' }] })
  return `curl ${gateway}/chat/completions -H 'authorization: Bearer ${applicationKey}' -H 'content-type: application/json' -d '${body}'`
}
