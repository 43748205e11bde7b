import { parseDuration } from '../../schema/duration.ts'
import { openClient } from '../api/client.ts'
import { readLabels, refOf } from '../api/refs.ts'
import { idempotencyKey, write } from '../api/write.ts'
import { command } from '../command.ts'
import { failed, isFailed } from '../trouble.ts'
import { type KeyPayload, keyWrite, principalOf, showSecret, type Viewer, viewerDocument } from './key-options.ts'

const kindsOfKey = { application: 'APPLICATION', admin: 'ADMIN' } as const
const list = (typed: string | undefined) =>
  typed
    ?.split(',')
    .map((one) => one.trim())
    .filter(Boolean) ?? null

export default command({
  name: 'key issue',
  description: 'Makes a key. Its secret is written to stdout, this once.',
  example: [
    'sluice key issue ci --project checkout-bot',
    'sluice key issue deploy --kind admin --permissions config:read,config:write --expires 90d',
  ].join('\n'),
  positionals: [{ name: 'name', description: 'of the key', required: true }],
  options: {
    kind: { type: 'string', values: Object.keys(kindsOfKey), description: 'application (default) or admin' },
    project: { type: 'string', hint: 'project', description: 'the use case it is for; needed for an application key' },
    principal: { type: 'string', hint: 'principal', description: 'whose key it is; default: whose token is in use' },
    aliases: { type: 'string', hint: 'a,b', description: 'the only model names it may ask for; default: every one' },
    permissions: { type: 'string', hint: 'a,b', description: 'default: what the kind and the roles give' },
    'request-labels': { type: 'string', hint: 'k=v,…', description: 'set on each of its requests' },
    addresses: { type: 'string', hint: 'cidr,…', description: 'the only addresses it may come from' },
    expires: { type: 'string', hint: '90d', description: 'after a duration, or at an instant; default: never' },
    label: { type: 'string', hint: 'k=v,…', description: 'labels of the key itself' },
    reason: { type: 'string', hint: 'text', description: 'kept in the audit log' },
  },
  async run({ positionals, options, format }, io) {
    const requestLabels = options['request-labels'] === undefined ? null : readLabels(options['request-labels'])
    if (requestLabels && 'wrong' in requestLabels) return failed('USAGE', `--request-labels ${requestLabels.wrong}.`)
    const labels = options.label === undefined ? null : readLabels(options.label)
    if (labels && 'wrong' in labels) return failed('USAGE', `--label ${labels.wrong}.`)
    const expiresAt = options.expires === undefined ? null : instantOf(options.expires, io.now())
    if (expiresAt === undefined)
      return failed('USAGE', '--expires is a duration such as 90d, or an instant such as 2027-01-31.')
    const client = openClient(io)
    if (isFailed(client)) return client
    const viewer = options.principal ? undefined : await client.ask<Viewer>(viewerDocument)
    if (isFailed(viewer)) return viewer
    const input = {
      idempotencyKey: idempotencyKey(),
      kind: kindsOfKey[(options.kind ?? 'application') as keyof typeof kindsOfKey],
      name: positionals[0],
      principal: viewer ? principalOf(viewer) : refOf('principal', options.principal!),
      project: options.project ? refOf('project', options.project) : null,
      aliases: list(options.aliases)?.map((name) => refOf('alias', name)) ?? null,
      permissions: list(options.permissions),
      allowedAddresses: list(options.addresses),
      requestLabels,
      labels,
      expiresAt,
      reason: options.reason,
    }
    const document = keyWrite('apiKeyIssue', 'ApiKeyIssueInput', 'secret replayed')
    const payload = await write<KeyPayload>(client, document, input, { retry: 'ALWAYS' })
    if (isFailed(payload)) return payload
    showSecret(io, format, payload)
    return 0
  },
})

/** `90d` from now, or an instant; undefined where it is neither. */
function instantOf(typed: string, nowMs: number): string | undefined {
  const ms = parseDuration(typed)
  if (ms !== undefined) return new Date(nowMs + ms).toISOString()
  const at = /^\d{4}-\d{2}-\d{2}/.test(typed) ? Date.parse(typed) : Number.NaN
  return Number.isNaN(at) ? undefined : new Date(at).toISOString()
}
