import { Document } from 'yaml'
import type { FileDocument } from './dump.ts'

/** Where editors look for the schema, beside the file. */
export const schemaFile = 'sluice.schema.json'
const pointer = `# yaml-language-server: $schema=./${schemaFile}`

/** Documents as one YAML text; the first line tells editors where the schema is. */
export function writeYaml(documents: readonly FileDocument[]): string {
  const texts = documents.map((document) =>
    new Document(document, { aliasDuplicateObjects: false }).toString({ lineWidth: 120 }),
  )
  return `${pointer}\n${texts.join('---\n')}`
}
