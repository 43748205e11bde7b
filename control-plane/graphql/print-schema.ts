import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { printedSchema } from './schema.ts'

/** `bun control-plane/graphql/print-schema.ts` writes schema/schema.graphql; a test compares it. */
writeFileSync(join(import.meta.dirname, '../../schema/schema.graphql'), printedSchema())
