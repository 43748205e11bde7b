import { type Kind, kindList, kinds } from '../../schema/handles.ts'
import type { Client } from '../api/client.ts'
import { type Failed, failed, isFailed } from '../trouble.ts'
import { documentFields } from './document.ts'
import { asWritten, isDefault, membersQuery, pageQuery } from './selection.ts'

/** One resource as a file writes it: `kind`, `name`, then what differs from the defaults. */
export type FileDocument = { kind: string; name: string } & Record<string, unknown>

interface Page<Node> {
  nodes: Node[]
  pageInfo: { hasNextPage: boolean; endCursor: string | null }
}
type Row = { handle: string; name: string } & Record<string, unknown>
type Members = Page<{ principal: { handle: string }; role: string }>

const attemptsMax = 5

/**
 * Everything that is declared, as documents that say the same when applied. Read page by page; where the configuration changed
 * meanwhile it is read again, so that what comes out is one revision.
 */
export async function dumpDocuments(
  client: Client,
  labels: Record<string, string> | null,
  only: readonly Kind[] = kindList,
): Promise<{ documents: FileDocument[]; revision: number } | Failed> {
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const revisions = new Set<number>()
    const documents: FileDocument[] = []
    for (const kind of only) {
      const found = await dumpKind(client, kind, labels, revisions)
      if (isFailed(found)) return found
      documents.push(...found)
    }
    if (revisions.size <= 1) return { documents, revision: [...revisions][0] ?? 0 }
  }
  return failed('CHANGING', 'The configuration changed each time it was read.', { advice: 'try again in a moment' })
}

async function dumpKind(
  client: Client,
  kind: Kind,
  labels: Record<string, string> | null,
  revisions: Set<number>,
): Promise<FileDocument[] | Failed> {
  const documents: FileDocument[] = []
  for (let after: string | null = null; ; ) {
    type Answer = { tenant: { configRevision: number; resources: Page<Row> } }
    const answer: Answer | Failed = await client.ask<Answer>(pageQuery(kind), { after, labels })
    if (isFailed(answer)) return answer
    const { configRevision, resources }: Answer['tenant'] = answer.tenant
    revisions.add(configRevision)
    for (const row of resources.nodes) {
      const complete = await withMembers(client, kind, row)
      if (isFailed(complete)) return complete
      documents.push(documentOf(kind, complete))
    }
    if (!resources.pageInfo.hasNextPage) return documents
    after = resources.pageInfo.endCursor
  }
}

/** The row with its members as a plain list, of which the first page came with it. */
async function withMembers(client: Client, kind: Kind, row: Row): Promise<Row | Failed> {
  const first = row.members as Members | undefined
  if (!first?.pageInfo) return row
  const all = [...first.nodes]
  for (let { pageInfo } = first; pageInfo.hasNextPage; ) {
    type Answer = { resource: { members: Members } | null }
    const variables = { ref: row.handle, after: pageInfo.endCursor }
    const answer: Answer | Failed = await client.ask<Answer>(membersQuery(kind), variables)
    if (isFailed(answer)) return answer
    if (!answer.resource) break
    all.push(...answer.resource.members.nodes)
    pageInfo = answer.resource.members.pageInfo
  }
  return { ...row, members: all }
}

/** Defaults are left out: applying fills them in again, and the file shows what somebody decided. */
function documentOf(kind: Kind, row: Row): FileDocument {
  const document: FileDocument = { kind: kinds[kind].type, name: row.name }
  for (const field of documentFields(kind)) {
    const value = asWritten(field.type, row[field.name])
    if (!isDefault(field.type, value)) document[field.key] = value
  }
  return document
}
