import { declarations, resourceName, z } from '../../schema/config/index.ts'
import { fieldOf } from '../../schema/config/walk.ts'
import { handleOf, type Kind, kindList, kindOf, kinds } from '../../schema/handles.ts'
import type { Trouble } from '../trouble.ts'
import { type DocumentField, documentFields } from './document.ts'
import type { SourceDocument } from './read.ts'

/** A document as the API takes it, and the way back from an error's path to a line of the file. */
export interface FileResource {
  kind: Kind
  handle: string
  /** Every field of the kind: what the file leaves out is null, so that the file is the whole truth. */
  input: Record<string, unknown>
  source: SourceDocument
  /** The document's key for a field of the input. */
  keyOf(name: string): string
}

/** Documents as resources; everything that is wrong with any of them, each with its line. */
export function checkDocuments(documents: readonly SourceDocument[]): {
  resources: FileResource[]
  troubles: Trouble[]
} {
  const resources: FileResource[] = []
  const troubles: Trouble[] = []
  const seen = new Map<string, string>()
  for (const source of documents) {
    const resource = checkDocument(source, troubles)
    if (!resource) continue
    const first = seen.get(resource.handle)
    if (first)
      troubles.push({
        code: 'TWICE',
        message: `${resource.handle} is declared at ${first} already.`,
        where: source.at(['name']),
      })
    seen.set(resource.handle, first ?? source.at(['name']))
    resources.push(resource)
  }
  return { resources, troubles }
}

function checkDocument(source: SourceDocument, troubles: Trouble[]): FileResource | undefined {
  const { value, at } = source
  const bad = (message: string, path: readonly (string | number)[], advice?: string) =>
    troubles.push({ code: 'BAD_FILE', message, where: at(path), advice })
  const kind = typeof value.kind === 'string' ? kindOf(value.kind) : undefined
  if (!kind) {
    const known = kindList.map((one) => kinds[one].type).join(', ')
    const what = value.kind === undefined ? 'kind is missing.' : `There is no kind ${JSON.stringify(value.kind)}.`
    bad(what, ['kind'], `kinds are ${known}`)
    return undefined
  }
  const name = resourceName.safeParse(value.name)
  if (!name.success)
    bad(value.name === undefined ? 'name is missing.' : `name ${name.error.issues[0]!.message}.`, ['name'])
  const fields = documentFields(kind)
  const known = new Set(['kind', 'id', 'name', ...fields.map(({ key }) => key)])
  for (const key of Object.keys(value))
    if (!known.has(key)) bad(`${kinds[kind].type} has no field ${JSON.stringify(key)}.`, [key], nearest(key, known))
  const input: Record<string, unknown> = { name: value.name }
  if (value.id !== undefined) input.id = value.id
  const fixed: readonly string[] = declarations[kind].fixed ?? []
  for (const field of fields) {
    // What can be said only once is not taken back by saying nothing.
    if (value[field.key] == null && fixed.includes(field.name)) continue
    input[field.name] = checkField(kind, field, value[field.key] ?? null, bad)
  }
  const keyByName = new Map(fields.map(({ name: own, key }) => [own, key]))
  return { kind, handle: handleOf(kind, String(value.name)), input, source, keyOf: (own) => keyByName.get(own) ?? own }
}

type Bad = (message: string, path: readonly (string | number)[], advice?: string) => void

/** The value to send; what is wrong with it is told to `bad`. */
function checkField(kind: Kind, { key, type, field }: DocumentField, given: unknown, bad: Bad): unknown {
  if (given === null) {
    if (!field.optional && !field.nullable) bad(`${kinds[kind].type} needs ${key}.`, [key], hintOf(type))
    return null
  }
  const value = withoutNulls(field.type, given)
  const checked = field.type.safeParse(value)
  for (const issue of checked.error?.issues ?? []) tellIssue(issue, key, field.type, bad)
  return value
}

function tellIssue(issue: z.core.$ZodIssue, key: string, type: z.ZodType, bad: Bad): void {
  const path = [key, ...(issue.path as (string | number)[])]
  const where = path.join('.')
  if (issue.code === 'unrecognized_keys')
    for (const unknown of issue.keys) {
      const shape = innerType(type, issue.path as (string | number)[])
      const known = new Set(shape instanceof z.ZodObject ? Object.keys(shape.shape) : [])
      bad(`${where} has no field ${JSON.stringify(unknown)}.`, [...path, unknown], nearest(unknown, known))
    }
  else bad(`${where}: ${sentence(issue)}.`, path)
}

/** zod's own sentences begin in capitals; ours are written to follow the field's name. */
function sentence({ message, ...issue }: z.core.$ZodIssue): string {
  if (issue.code === 'invalid_type' && issue.expected === 'string' && message.endsWith('received number'))
    return 'must be text: put it in quotes, such as "0.15"'
  return message.replace(/^(Invalid|Too) /, (start) => start.toLowerCase())
}

function innerType(type: z.ZodType, path: readonly (string | number)[]): z.ZodType {
  let inner = fieldOf(type).type
  for (const step of path) {
    if (inner instanceof z.ZodArray) inner = fieldOf(inner.element as z.ZodType).type
    else if (inner instanceof z.ZodObject && typeof step === 'string' && inner.shape[step])
      inner = fieldOf(inner.shape[step] as z.ZodType).type
  }
  return inner
}

/** Within an object that is replaced whole, null says the same as leaving the field out. */
function withoutNulls(type: z.ZodType, value: unknown): unknown {
  const { type: inner } = fieldOf(type)
  if (inner instanceof z.ZodArray && Array.isArray(value))
    return value.map((item) => withoutNulls(inner.element as z.ZodType, item))
  if (!(inner instanceof z.ZodObject) || typeof value !== 'object' || value === null || Array.isArray(value))
    return value
  const kept = Object.entries(value).filter(([, item]) => item !== null)
  return Object.fromEntries(
    kept.map(([key, item]) => [key, inner.shape[key] ? withoutNulls(inner.shape[key] as z.ZodType, item) : item]),
  )
}

function hintOf(type: z.ZodType): string | undefined {
  const { type: inner, meta } = fieldOf(type)
  if (inner instanceof z.ZodEnum) return `one of ${inner.options.join(', ')}`
  return (meta as { description?: string }).description
}

/** The known word that is a slip of the finger away. */
export function nearest(word: string, known: Iterable<string>): string | undefined {
  const ranked = [...known].map((one) => [distance(word.toLowerCase(), one.toLowerCase()), one] as const)
  const [best] = ranked.sort(([a], [b]) => a - b)
  return best && best[0] <= 2 ? `did you mean ${best[1]}?` : undefined
}

/** Levenshtein's distance; names are short. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1))
    row = next
  }
  return row[b.length]!
}
