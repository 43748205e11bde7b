import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Document, isMap, isScalar, LineCounter, type Node, parseAllDocuments } from 'yaml'
import type { Io } from '../io.ts'
import type { Trouble } from '../trouble.ts'

/** One document of a file, and where its parts stand. */
export interface SourceDocument {
  file: string
  value: Record<string, unknown>
  /** `file:line` of what a path leads to, or of the nearest thing around it. */
  at(path: readonly (string | number)[]): string
}

const fileBytesMax = 16 * 1024 * 1024
const filesMax = 10_000
const aliasesMax = 100
/** A schema for editors lies beside the files, and is none of them. */
const fileName = /(?<!\.schema)\.(ya?ml|json)$/i

/**
 * Every document of files, directories (all their .yaml, .yml and .json, at any depth) and `-` (stdin). JSON is read as the YAML
 * it is; a JSON file may hold an array of documents. All errors are gathered.
 */
export async function readSources(
  io: Pick<Io, 'readStdin'>,
  paths: readonly string[],
): Promise<{ documents: SourceDocument[]; troubles: Trouble[] }> {
  const documents: SourceDocument[] = []
  const troubles: Trouble[] = []
  for (const path of paths) {
    for (const file of path === '-' ? ['-'] : listFiles(path, troubles)) {
      const text = await readText(io, file, troubles)
      if (text === undefined) continue
      const parsed = parseText(file === '-' ? 'stdin' : file, text)
      documents.push(...parsed.documents)
      troubles.push(...parsed.troubles)
    }
  }
  return { documents, troubles }
}

function listFiles(path: string, troubles: Trouble[]): string[] {
  const info = statSync(path, { throwIfNoEntry: false })
  if (!info) {
    troubles.push({ code: 'NO_FILE', message: `There is no file or directory ${path}.` })
    return []
  }
  if (!info.isDirectory()) return [path]
  const found = readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && fileName.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
  if (found.length === 0) troubles.push({ code: 'NO_FILE', message: `${path} holds no .yaml, .yml or .json file.` })
  if (found.length > filesMax)
    troubles.push({ code: 'TOO_LARGE', message: `${path} holds more than ${filesMax} files.` })
  return found.slice(0, filesMax)
}

async function readText(io: Pick<Io, 'readStdin'>, file: string, troubles: Trouble[]): Promise<string | undefined> {
  try {
    if (file === '-') return await io.readStdin(fileBytesMax)
    if (statSync(file).size > fileBytesMax) throw new RangeError(`is larger than ${fileBytesMax} bytes`)
    return readFileSync(file, 'utf8')
  } catch (error) {
    troubles.push({ code: 'NO_FILE', message: `${file} cannot be read: ${(error as Error).message}` })
    return undefined
  }
}

/** The documents of one text. */
export function parseText(file: string, text: string): { documents: SourceDocument[]; troubles: Trouble[] } {
  const lines = new LineCounter()
  const parsed = parseAllDocuments(text, { lineCounter: lines, version: '1.2', uniqueKeys: true })
  const documents: SourceDocument[] = []
  const troubles: Trouble[] = []
  for (const document of Array.isArray(parsed) ? parsed : []) {
    for (const { code, message, pos } of document.errors) {
      const [sentence] = message.split(/ at line \d+/)
      troubles.push({
        code: 'BAD_FILE',
        message: `${sentence} (${code})`,
        where: `${file}:${lines.linePos(pos[0]).line}`,
      })
    }
    if (document.errors.length > 0 || document.contents === null) continue
    readDocument(file, document as Document.Parsed, lines, documents, troubles)
  }
  return { documents, troubles }
}

function readDocument(
  file: string,
  document: Document.Parsed,
  lines: LineCounter,
  documents: SourceDocument[],
  troubles: Trouble[],
): void {
  const lineOf = (node: unknown) => lines.linePos((node as Node).range?.[0] ?? 0).line
  const root = document.contents as Node
  let value: unknown
  try {
    value = document.toJS({ maxAliasCount: aliasesMax })
  } catch (error) {
    troubles.push({ code: 'BAD_FILE', message: (error as Error).message, where: `${file}:${lineOf(root)}` })
    return
  }
  // A scalar that says nothing: a file of comments, or `---` at its end.
  if (value === null) return
  const many = Array.isArray(value)
  for (const [index, one] of (many ? (value as unknown[]) : [value]).entries()) {
    const prefix = many ? [index] : []
    const at = (path: readonly (string | number)[]) => `${file}:${lineOfPath(document, [...prefix, ...path], lineOf)}`
    if (typeof one === 'object' && one !== null && !Array.isArray(one))
      documents.push({ file, value: one as Record<string, unknown>, at })
    else
      troubles.push({
        code: 'BAD_FILE',
        message: 'This is no resource. A document begins with `kind: Project` and a `name`.',
        where: at([]),
      })
  }
}

/** The line of a path's key where there is one, else of the nearest node around it. */
function lineOfPath(document: Document.Parsed, path: readonly (string | number)[], lineOf: (node: unknown) => number) {
  let node: unknown = document.contents
  let line = lineOf(node)
  for (const step of path) {
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(step))
      if (!pair) return line
      line = lineOf(pair.key)
      node = pair.value
    } else {
      node =
        document.contents && (node as { get?: (key: unknown, keep: boolean) => unknown })?.get?.(Number(step), true)
      if (!node) return line
      line = lineOf(node)
    }
  }
  return line
}
