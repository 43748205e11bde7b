import { errorFields, type UserError } from '../api/write.ts'
import type { Io } from '../io.ts'
import { type Format, show } from '../output/show.ts'

export interface ApiKey {
  handle: string
  name: string
  kind: string
  prefix: string
  state: string
  expiresAt: string | null
  lastUsedAt: string | null
  project: { handle: string } | null
  principal: { handle: string }
}

export interface KeyPayload {
  errors: UserError[]
  apiKey: ApiKey | null
  secret?: string | null
  replayed?: boolean
}

export const keyFields = 'handle name kind prefix state expiresAt lastUsedAt project { handle } principal { handle }'
export const keyWrite = (verb: string, input: string, more = '') =>
  `mutation Key($input: ${input}!) { write: ${verb}(input: $input) { ${errorFields} ${more} apiKey { ${keyFields} } } }`

/** A secret is data: it alone is on stdout, so that `KEY=$(sluice key issue …)` works. It is shown this once. */
export function showSecret(io: Io, format: Format, { apiKey, secret, replayed }: KeyPayload): void {
  if (!secret) io.err(`${apiKey!.handle} was made by an earlier attempt; its secret is not shown twice. Rotate it.\n`)
  show(io, format, {
    data: { apiKey, secret, replayed },
    table: () => (secret ? `${secret}\n` : ''),
    names: () => [apiKey!.handle],
  })
  if (secret && format === 'table') io.err(`${apiKey!.handle}: shown once, keep it now.\n`)
}

/** The principal behind the token in use: whose key a new one is, unless another is named. */
export const viewerDocument = 'query Viewer { viewer { actor { kind id onBehalfOf { id } } } }'
export interface Viewer {
  viewer: { actor: { kind: string; id: string; onBehalfOf: { id: string } | null } }
}

export function principalOf({ viewer: { actor } }: Viewer): string {
  return actor.onBehalfOf?.id ?? actor.id
}
