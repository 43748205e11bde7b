import { openClient } from '../api/client.ts'
import { listAll } from '../api/list.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { formatTable } from '../output/table.ts'
import { isFailed } from '../trouble.ts'

interface Row {
  platform: string
  codecs: string[]
  baseUrl: string | null
  selfHosted: boolean
  credentials: { handle: string; source: string; locator: string | null; fingerprint: string }[]
}

export default command({
  name: 'provider list',
  description: 'Shows the declared providers and where their keys are.',
  example: 'sluice provider list',
  async run({ format }, io) {
    const client = openClient(io)
    if (isFailed(client)) return client
    const fields = 'platform codecs baseUrl selfHosted credentials { handle source locator fingerprint }'
    const rows = await listAll<Row>(client, 'provider', fields, { size: 50 })
    if (isFailed(rows)) return rows
    show(io, format, {
      data: rows,
      names: () => rows.map(({ handle }) => handle),
      table: () =>
        formatTable(rows, [
          { title: 'PROVIDER', value: ({ name }) => name },
          { title: 'PLATFORM', value: ({ platform }) => platform },
          { title: 'ADDRESS', value: ({ baseUrl }) => baseUrl ?? '(built in)' },
          { title: 'KEY', value: ({ credentials }) => credentials.map(keyOf).join(', ') || '(none)' },
          { title: 'COST', value: ({ selfHosted }) => (selfHosted ? 'zero, self-hosted' : 'by price sheet') },
        ]),
    })
    return 0
  },
})

function keyOf({ locator, fingerprint }: Row['credentials'][number]): string {
  return locator ?? (fingerprint ? `stored ${fingerprint}` : 'stored, not set yet')
}
