import { openClient } from '../api/client.ts'
import { listAll } from '../api/list.ts'
import { command } from '../command.ts'
import { show } from '../output/show.ts'
import { formatTable } from '../output/table.ts'
import { failed, isFailed } from '../trouble.ts'

interface Price {
  meter: string
  amount: string
  per: number
  aboveInputTokens: number | null
  serviceTier: string | null
}
interface Model {
  provider: { selfHosted: boolean }
  prices: Price[]
}

const words: Record<number, string> = { 1: 'each', 1000: 'per thousand', 1000000: 'per million' }

export default command({
  name: 'price list',
  description: 'Shows the prices that hold now, or at another time, for every model.',
  example: 'sluice price list\nsluice price list --model openai/gpt-4o --at 2026-12-01',
  options: {
    model: { type: 'string', hint: 'name', description: 'only models whose name holds this' },
    at: { type: 'string', hint: 'date', description: 'the moment; default now' },
  },
  async run({ options, format }, io) {
    const moment = options.at === undefined ? undefined : new Date(options.at)
    if (moment && Number.isNaN(moment.getTime())) return failed('USAGE', '--at is a date or an instant.')
    const client = openClient(io)
    if (isFailed(client)) return client
    const at = moment ? `(at: ${JSON.stringify(moment.toISOString())})` : ''
    const fields = `provider { selfHosted } prices${at} { meter amount per aboveInputTokens serviceTier }`
    const found = await listAll<Model>(client, 'model', fields, { size: 50 })
    if (isFailed(found)) return found
    const models = found.filter(({ name }) => !options.model || name.includes(options.model))
    const lines = models.flatMap(linesOf)
    show(io, format, {
      data: models,
      names: () => models.map(({ handle }) => handle),
      table: () =>
        formatTable(lines, [
          { title: 'MODEL', value: ({ name }) => name },
          { title: 'METER', value: ({ meter }) => meter },
          { title: 'PRICE', align: 'right', value: ({ amount }) => amount },
          { title: 'UNIT', value: ({ unit }) => unit },
        ]),
    })
    return 0
  },
})

/** What the table shows of a model: a line for each price, or why there is none. */
function linesOf({ name, prices, provider }: Model & { name: string }) {
  if (prices.length > 0)
    return prices.map((price) => ({
      name,
      meter: price.meter.toLowerCase().replaceAll('_', ' '),
      amount: price.amount,
      unit: unitOf(price),
    }))
  return [
    provider.selfHosted
      ? { name, meter: '', amount: '0', unit: 'self-hosted' }
      : { name, meter: '', amount: 'none', unit: 'requests are refused' },
  ]
}

function unitOf({ per, aboveInputTokens, serviceTier }: Price): string {
  const above = aboveInputTokens === null ? '' : `, above ${aboveInputTokens} input tokens`
  return `${words[per] ?? `per ${per}`}${above}${serviceTier ? `, ${serviceTier}` : ''}`
}
