import { type Kind, kinds } from '../../schema/handles.ts'
import { type Failed, isFailed } from '../trouble.ts'
import type { Client } from './client.ts'

interface Page<Row> {
  tenant: { resources: { nodes: Row[]; pageInfo: { hasNextPage: boolean; endCursor: string | null } } }
}

/** Every resource of a kind, page by page. `fields` is the selection on the kind beside `handle` and `name`. */
export async function listAll<Row>(
  client: Client,
  kind: Kind,
  fields = '',
  { labels = null, size = 100 }: { labels?: Record<string, string> | null; size?: number } = {},
): Promise<({ handle: string; name: string } & Row)[] | Failed> {
  const query = `query List($after: Cursor, $labels: Labels) {
  tenant { resources(kinds: [${kinds[kind].enum}], labels: $labels, first: ${size}, after: $after) {
    nodes { handle name ${fields && `... on ${kinds[kind].type} { ${fields} }`} }
    pageInfo { hasNextPage endCursor }
  } }
}`
  type Found = { handle: string; name: string } & Row
  const rows: Found[] = []
  for (let after: string | null = null; ; ) {
    const answer: Page<Found> | Failed = await client.ask<Page<Found>>(query, { after, labels })
    if (isFailed(answer)) return answer
    const page: Page<Found>['tenant']['resources'] = answer.tenant.resources
    rows.push(...page.nodes)
    if (!page.pageInfo.hasNextPage) return rows
    after = page.pageInfo.endCursor
  }
}
