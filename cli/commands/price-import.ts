import { type Client, openClient } from '../api/client.ts'
import { listAll } from '../api/list.ts'
import { catalogueName } from '../catalogue/prices.ts'
import { priceLines } from '../catalogue/resources.ts'
import { vendors } from '../catalogue/vendors.ts'
import { command } from '../command.ts'
import type { Io } from '../io.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'
import { planAndApply } from './apply-plan.ts'

interface Model {
  upstreamName: string
  provider: { name: string; platform: string; selfHosted: boolean }
}

export default command({
  name: 'price import',
  description: `Makes or renews price sheets for the declared models from the offline catalogue (${catalogueName}).`,
  example: 'sluice price import\nsluice price import --provider openai --effective-from 2026-12-01',
  options: {
    provider: { type: 'string', hint: 'name', description: 'only this declared provider' },
    catalogue: {
      type: 'string',
      hint: 'name',
      description: 'whose prices; default: the vendor with the name of the provider',
    },
    'effective-from': { type: 'string', hint: 'date', description: 'makes a sheet of its own that holds from then on' },
    yes: { type: 'boolean', short: 'y', description: 'do not ask' },
    'plan-only': { type: 'boolean', description: 'show the plan and change nothing' },
  },
  async run({ options, format }, io) {
    const from = options['effective-from']
    const effectiveFrom = from === undefined ? undefined : instantOf(from)
    if (from !== undefined && !effectiveFrom)
      return failed('USAGE', '--effective-from is a date or an instant, such as 2026-12-01.')
    const client = openClient(io)
    if (isFailed(client)) return client
    const sheets = await makeSheets(client, options, effectiveFrom, io)
    if (isFailed(sheets)) return sheets
    const manner = { format, yes: options.yes, planOnly: options['plan-only'] }
    const wanted = { resources: sheets, reason: `price import from ${catalogueName}` }
    return planAndApply(io, client, wanted, manner)
  },
})

/** One sheet per provider; with a date one more, so that what held before stays on record. */
async function makeSheets(
  client: Client,
  options: { provider?: string; catalogue?: string },
  effectiveFrom: Date | undefined,
  io: Io,
) {
  const models = await listAll<Model>(client, 'model', 'upstreamName provider { name platform selfHosted }')
  if (isFailed(models)) return models
  const wanted = models.filter(({ provider }) => !options.provider || provider.name === options.provider)
  const byProvider = Map.groupBy(
    wanted.filter(({ provider }) => !provider.selfHosted),
    ({ provider }) => provider.name,
  )
  if (byProvider.size === 0) return nothing(options.provider)
  const atMs = effectiveFrom?.getTime() ?? io.now()
  const sheets = [...byProvider].flatMap(([name, own]) => {
    const vendor = vendors[options.catalogue ?? name] ?? vendorOf(own[0]!.provider.platform)
    if (!vendor) {
      io.err(`Left out: provider ${name} is not in the catalogue; --catalogue names whose prices it has.\n`)
      return []
    }
    const { lines, left } = priceLines(
      vendor,
      own.map(({ upstreamName, handle }) => ({ id: upstreamName, handle })),
      atMs,
    )
    for (const { model, why } of left) io.err(`Left out: ${model} ${why}.\n`)
    return lines.length === 0 ? [] : [sheetOf(name, lines, effectiveFrom)]
  })
  return sheets.length > 0 ? sheets : nothing(options.provider)
}

function sheetOf(provider: string, lines: Record<string, unknown>[], effectiveFrom: Date | undefined) {
  const name = effectiveFrom ? `${provider}-${effectiveFrom.toISOString().slice(0, 10)}` : provider
  const input = {
    name,
    currency: 'USD',
    source: catalogueName,
    lines,
    ...(effectiveFrom && { effectiveFrom: effectiveFrom.toISOString() }),
  }
  return { kind: 'priceSheet' as const, input }
}

function vendorOf(platform: string) {
  return Object.values(vendors).find((vendor) => vendor.platform === platform && vendor.prices)
}

function nothing(provider: string | undefined): Failed {
  const what = provider ? `provider/${provider} has no model` : 'There is no model'
  return failed('NO_MODELS', `${what} whose price the catalogue knows.`, {
    advice: 'sluice provider add openai --key env:OPENAI_API_KEY',
  })
}

function instantOf(typed: string): Date | undefined {
  const at = new Date(typed)
  return /^\d{4}-\d{2}-\d{2}/.test(typed) && !Number.isNaN(at.getTime()) ? at : undefined
}
