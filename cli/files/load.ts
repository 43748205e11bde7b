import type { Io } from '../io.ts'
import { type Failed, failed } from '../trouble.ts'
import { checkDocuments, type FileResource } from './check.ts'
import { readSources } from './read.ts'

/** Reads and checks everything that `-f` names. All errors come at once, each with its file and line. */
export async function loadFiles(io: Io, paths: readonly string[]): Promise<FileResource[] | Failed> {
  if (paths.length === 0) return failed('USAGE', '-f is missing: a file, a directory, or - for stdin.')
  const read = await readSources(io, paths)
  const { resources, troubles } = checkDocuments(read.documents)
  const all = [...read.troubles, ...troubles]
  if (all.length > 0) return { failed: all, exit: 1 }
  if (resources.length === 0) return failed('NO_FILE', `${paths.join(', ')} declares nothing.`)
  return resources
}
