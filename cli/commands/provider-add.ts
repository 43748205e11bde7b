import { handleOf } from '../../schema/handles.ts'
import { type Client, openClient } from '../api/client.ts'
import { listAll } from '../api/list.ts'
import { listModels, withVersionPath } from '../catalogue/list-models.ts'
import { catalogueName } from '../catalogue/prices.ts'
import { type Declared, type ProviderWish, providerResources, withoutTakenAliases } from '../catalogue/resources.ts'
import { isThere, readLocator, readSecret } from '../catalogue/secret.ts'
import { type Vendor, vendorNames, vendors } from '../catalogue/vendors.ts'
import { command } from '../command.ts'
import type { Io } from '../io.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'
import { planAndApply } from './apply-plan.ts'
import { storeSecret } from './credential-set.ts'
import { noteCheck } from './provider-check.ts'

const options = {
  name: { type: 'string', hint: 'name', description: 'of the provider here; default: what it is called' },
  key: { type: 'string', hint: 'env:NAME', description: 'where the gateway finds the key: env:NAME or file:/path' },
  'key-stdin': { type: 'boolean', description: 'read the key from stdin and store it sealed' },
  url: { type: 'string', hint: 'url', description: 'address of a self-hosted server, or another one of a provider' },
  compatible: { type: 'string', hint: 'url', description: "the provider's OpenAI-compatible endpoint" },
  region: { type: 'string', hint: 'name', description: 'where it is asked, for Amazon Bedrock' },
  model: { type: 'string', many: true, hint: 'name', description: 'only this model; repeatable' },
  wildcard: { type: 'boolean', description: 'also whatever else it serves, as <provider>/<model>' },
  'no-check': { type: 'boolean', description: 'do not have a gateway call the provider at the end' },
  yes: { type: 'boolean', short: 'y', description: 'do not ask' },
  'plan-only': { type: 'boolean', description: 'show the plan and change nothing' },
} as const

export default command({
  name: 'provider add',
  description: `Declares a provider with credential, models, prices and aliases. Known: ${vendorNames.join(', ')}.`,
  example: [
    'sluice provider add openai --key env:OPENAI_API_KEY',
    'sluice provider add anthropic --key env:ANTHROPIC_API_KEY',
    'sluice provider add azure --url https://NAME.openai.azure.com --model gpt-4o --key env:AZURE_OPENAI_API_KEY',
    'sluice provider add bedrock --region eu-central-1 --key env:AWS_ACCESS_KEY_ID',
    'sluice provider add self-hosted --url http://127.0.0.1:8000/v1',
    'sluice provider add openai --key-stdin --model gpt-4o-mini < key.txt',
  ].join('\n'),
  positionals: [{ name: 'provider', description: 'which one', required: true }],
  options,
  async run({ positionals, options: given, format }, io) {
    const wish = await readWish(positionals[0]!, given, io)
    if (isFailed(wish)) return wish
    const client = openClient(io)
    if (isFailed(client)) return client
    // Read before anything is declared: without a secret there is nothing to add.
    const secret = given['key-stdin'] ? await readSecret(io, 'Key of the provider') : undefined
    if (isFailed(secret)) return secret
    const complete = await withListedModels(wish, secret, io)
    if (isFailed(complete)) return complete
    const resources = await settle(client, providerResources(complete), complete, io)
    if (isFailed(resources)) return resources
    const { yes, 'plan-only': planOnly } = given
    const manner = { format, yes: yes || !io.isStdinTty, planOnly }
    const outcome = await planAndApply(io, client, { resources, reason: `provider add ${positionals[0]}` }, manner)
    if (outcome !== 0 || planOnly) return outcome
    const name = complete.name ?? complete.vendor
    const stored = secret === undefined ? 0 : await storeSecret(client, handleOf('credential', name), secret, io)
    if (stored === 0 && !given['no-check']) await noteCheck(client, handleOf('provider', name), io)
    return stored
  },
})

type Typed = { [K in keyof typeof options]?: unknown }

/** What is wanted, from what was typed; `model` names stand for the catalogue's. */
async function readWish(vendorName: string, given: Typed, io: Io): Promise<ProviderWish | Failed> {
  const vendor = Object.hasOwn(vendors, vendorName) ? vendors[vendorName]! : undefined
  if (!vendor)
    return failed('USAGE', `There is no provider ${JSON.stringify(vendorName)} in the catalogue.`, {
      advice: `known are ${vendorNames.join(', ')}; any other is declared in a file with \`sluice apply\``,
    })
  const typed = given as {
    name?: string
    key?: string
    url?: string
    compatible?: string
    region?: string
    model: string[]
    wildcard: boolean
  }
  const address = typed.compatible ?? typed.url
  if (address !== undefined && !/^https?:$/.test(URL.parse(address)?.protocol ?? ''))
    return failed('USAGE', `${JSON.stringify(address)} is no http or https URL.`)
  const lacking = lackingOf(vendor, { address, region: typed.region, models: typed.model })
  if (lacking) return lacking
  const locator = readKey(typed.key, given['key-stdin'] === true)
  if (isFailed(locator)) return locator
  if (locator === undefined && !vendor.selfHosted)
    return failed('USAGE', `${vendor.title} needs a key.`, { advice: `--key env:${vendor.variable}, or --key-stdin` })
  if (typeof locator === 'string' && !isThere(locator, io))
    io.err(`Note: ${locator} is not set here. The gateway needs it in its own environment.\n`)
  return {
    vendor: vendorName,
    atMs: io.now(),
    ...(typed.name && { name: typed.name }),
    ...(address && { baseUrl: withVersionPath(address, typed.compatible ? '' : vendor.basePath) }),
    ...(typed.compatible && { compatible: true }),
    ...(typed.region && { region: typed.region }),
    ...(locator !== undefined && { locator }),
    ...(typed.model.length > 0 && { models: typed.model.map((id) => ({ id })) }),
    ...(typed.wildcard && { wildcard: true }),
  }
}

/** What this provider needs and was not told. */
function lackingOf(
  vendor: Vendor,
  { address, region, models }: { address?: string; region?: string; models: string[] },
): Failed | undefined {
  if (!address && !vendor.baseUrl && !vendor.regional && vendor.platform !== 'ECHO')
    return failed('USAGE', `--url is missing: where is ${vendor.title}?`)
  if (vendor.regional && !address && !region)
    return failed('USAGE', `--region is missing: where is ${vendor.title} asked?`, { advice: '--region eu-central-1' })
  if (vendor.deployments && models.length === 0)
    return failed('USAGE', `${vendor.title} serves deployments, which only you can name.`, { advice: '--model NAME' })
  return undefined
}

/** Null = stored; undefined = no key at all. */
function readKey(key: string | undefined, fromStdin: boolean): string | null | undefined | Failed {
  if (key !== undefined && fromStdin) return failed('USAGE', '--key and --key-stdin are two ways to say it; keep one.')
  if (fromStdin) return null
  return key === undefined ? undefined : readLocator(key)
}

/** A self-hosted server is asked what it serves, unless its models were named. */
async function withListedModels(
  wish: ProviderWish,
  secret: string | undefined,
  io: Io,
): Promise<ProviderWish | Failed> {
  if (wish.vendor !== 'self-hosted' || wish.models) return wish
  const held = secret ?? (wish.locator?.startsWith('env:') ? io.env[wish.locator.slice(4)] : undefined)
  const listed = await listModels(wish.baseUrl!, held)
  if ('models' in listed && listed.models.length > 0) return { ...wish, models: listed.models }
  const why = 'unlisted' in listed ? listed.unlisted : `${wish.baseUrl} lists no models`
  if (!wish.wildcard)
    return failed('NO_MODELS', `${why}.`, { advice: 'name them with --model NAME, or take all with --wildcard' })
  io.err(`Note: ${why}; only the wildcard is declared.\n`)
  return wish
}

/** Says what is left out, and keeps existing aliases as they are. */
async function settle(client: Client, declared: Declared, { vendor }: ProviderWish, io: Io) {
  for (const { model, why } of declared.left) io.err(`Left out: ${model} ${why}.\n`)
  const aliases = await listAll<{ model: { handle: string } | null; route: { handle: string } | null }>(
    client,
    'alias',
    'model { handle } route { handle }',
  )
  if (isFailed(aliases)) return aliases
  const existing = new Map(aliases.map(({ name, model, route }) => [name, (model ?? route)?.handle ?? null]))
  const { resources, taken } = withoutTakenAliases(declared.resources, existing)
  for (const name of taken) io.err(`Kept: alias/${name} stands for ${existing.get(name)} already.\n`)
  if (!resources.some(({ kind }) => kind === 'model'))
    return failed('NO_MODELS', 'None of these models can be declared.', { advice: 'declare model and price in a file' })
  if (vendors[vendor]!.prices) io.err(`Prices: ${catalogueName}. Compare them with your contract.\n`)
  return resources
}
