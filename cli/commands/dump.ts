import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configSchema } from '../../control-plane/graphql/config-schema.ts'
import { kindOf, kinds } from '../../schema/handles.ts'
import { openClient } from '../api/client.ts'
import { readLabels } from '../api/refs.ts'
import { command } from '../command.ts'
import { dumpDocuments, type FileDocument } from '../files/dump.ts'
import { schemaFile, writeYaml } from '../files/written.ts'
import type { Io } from '../io.ts'
import { failed, isFailed } from '../trouble.ts'

export default command({
  name: 'dump',
  description: 'Writes everything that is declared as files that apply cleanly. Secrets are never in them.',
  example: 'sluice dump > sluice.yaml\nsluice dump --to config/   # one file per kind, and the schema for editors',
  format: 'yaml',
  options: {
    label: { type: 'string', hint: 'label=value', description: 'only what carries these labels' },
    kind: { type: 'string', many: true, hint: 'Kind', description: 'only this kind; repeatable' },
    to: { type: 'string', hint: 'directory', description: 'write files there instead of stdout' },
  },
  async run({ options, format }, io) {
    const labels = options.label === undefined ? null : readLabels(options.label)
    if (labels && 'wrong' in labels) return failed('USAGE', `--label ${labels.wrong}.`)
    const only = options.kind.map((word) => ({ word, kind: kindOf(word) }))
    const unknown = only.find(({ kind }) => !kind)
    if (unknown) {
      const advice = `kinds are ${Object.values(kinds)
        .map(({ type }) => type)
        .join(', ')}`
      return failed('USAGE', `There is no kind ${JSON.stringify(unknown.word)}.`, { advice })
    }
    const client = openClient(io)
    if (isFailed(client)) return client
    const dumped = await dumpDocuments(client, labels, only.length > 0 ? only.map(({ kind }) => kind!) : undefined)
    if (isFailed(dumped)) return dumped
    const { documents, revision } = dumped
    if (options.to !== undefined) writeFiles(io, options.to, documents)
    else if (format === 'json') io.out(`${JSON.stringify(documents, null, 2)}\n`)
    else if (format === 'yaml') io.out(writeYaml(documents))
    else io.out(documents.map((document) => `${handle(document)}\n`).join(''))
    io.err(`${documents.length} resources at revision ${revision}.\n`)
    return 0
  },
})

const handle = ({ kind, name }: FileDocument) => `${kinds[kindOf(kind)!].word}/${name}`

function writeFiles(io: Io, directory: string, documents: readonly FileDocument[]): void {
  mkdirSync(directory, { recursive: true })
  for (const [kind, found] of Map.groupBy(documents, (document) => document.kind)) {
    const path = join(directory, `${kinds[kindOf(kind)!].word}.yaml`)
    writeFileSync(path, writeYaml(found))
    io.err(`${path}: ${found.length}\n`)
  }
  // Not .json in a place that `apply -f` reads: a schema is no resource.
  writeFileSync(join(directory, schemaFile), `${JSON.stringify(configSchema(), null, 2)}\n`)
}
