import { openClient, tenantHeader } from '../api/client.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { failed, isFailed } from '../trouble.ts'

const timeoutMs = 10_000

export default command({
  name: 'dashboard',
  description: 'Prints a link to the dashboard that signs in whoever opens it first. It works once, for 15 minutes.',
  example: 'sluice dashboard',
  async run({ format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const { controlUrl, token } = client
    // A query first: it tells an unreachable control plane and a bad token apart, in the words of every other command.
    const viewer = await client.ask('query Viewer { viewer { actor { id } } }')
    if (isFailed(viewer)) return viewer
    const answer = await fetch(`${controlUrl}/session/ticket`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}`, ...tenantHeader(client) },
      signal: AbortSignal.timeout(timeoutMs),
    })
    const requestId = answer.headers.get('x-sluice-request-id') ?? undefined
    if (!answer.ok) return failed('NO_LINK', `The control plane answered ${answer.status}.`, { requestId })
    const { path } = (await answer.json()) as { path: string }
    const url = `${controlUrl}${path}`
    show(io, format, { data: { url }, table: () => `${url}\n`, names: () => [url] })
    return 0
  },
})
