import {
  type DocumentNode,
  type FieldNode,
  type FragmentDefinitionNode,
  type GraphQLError,
  Kind,
  type SelectionSetNode,
} from 'graphql'
import { requestError } from './errors.ts'

/** How much one document may ask for before anything is looked up. All bounds are for the document with its fragments spread. */
export const documentLimits = {
  /** Hosts keep a thousand documents by their text, so a long comment is not free. What is long goes into variables. */
  characters: 100_000,
  tokens: 10_000,
  selections: 1_500,
  depth: 16,
  aliases: 30,
  directives: 50,
  operations: 20,
  /** `__schema` and `__type`: each may answer the whole schema, and Pothos counts none of their fields. */
  introspections: 5,
}

/** Work that a valid document may cause: every field costs 1, times the items of the lists around it. */
export const costLimits = { depth: 12, breadth: 1_500, complexity: 50_000 }

interface Size {
  selections: number
  depth: number
  aliases: number
  directives: number
}

const most = Number.MAX_SAFE_INTEGER / 4

/**
 * Refuses a document that is too large, in time linear to its text: each fragment is measured once, so that fragments that
 * spread each other many times over cannot make the check, or the validation after it, slow. Cycles are left to validation,
 * which finds them before it follows them.
 */
export function checkDocument(document: DocumentNode): void {
  const fragments = new Map<string, FragmentDefinitionNode>()
  for (const definition of document.definitions)
    if (definition.kind === Kind.FRAGMENT_DEFINITION) fragments.set(definition.name.value, definition)
  const measured = new Map<string, Size | 'measuring'>()

  const ofFragment = (name: string): Size => {
    const known = measured.get(name)
    const fragment = fragments.get(name)
    if (!fragment || known === 'measuring') return { selections: 0, depth: 0, aliases: 0, directives: 0 }
    if (known) return known
    measured.set(name, 'measuring')
    const size = ofSelections(fragment.selectionSet)
    size.directives += fragment.directives?.length ?? 0
    measured.set(name, size)
    return size
  }

  const ofSelections = (set: SelectionSetNode): Size => {
    const size: Size = { selections: 0, depth: 0, aliases: 0, directives: 0 }
    for (const selection of set.selections) {
      const isField = selection.kind === Kind.FIELD
      size.selections += 1
      size.directives += selection.directives?.length ?? 0
      if (isField && selection.alias) size.aliases += 1
      if (isField && isIntrospection(selection)) introspections += 1
      const inner =
        selection.kind === Kind.FRAGMENT_SPREAD
          ? ofFragment(selection.name.value)
          : selection.selectionSet && ofSelections(selection.selectionSet)
      if (inner) add(size, inner)
      size.depth = Math.max(size.depth, (inner?.depth ?? 0) + (isField ? 1 : 0))
    }
    return size
  }

  let operations = 0
  let introspections = 0
  for (const definition of document.definitions) {
    if (definition.kind === Kind.OPERATION_DEFINITION) {
      operations += 1
      const size = ofSelections(definition.selectionSet)
      for (const { directives } of [definition, ...(definition.variableDefinitions ?? [])])
        size.directives += directives?.length ?? 0
      refuseBeyond(size)
    } else if (definition.kind === Kind.FRAGMENT_DEFINITION) refuseBeyond(ofFragment(definition.name.value))
  }
  if (operations > documentLimits.operations) throw tooMuch('operations', documentLimits.operations)
  if (introspections > documentLimits.introspections) throw tooMuch('introspections', documentLimits.introspections)
}

/** A field that answers of the schema. */
export const isIntrospection = ({ name: { value } }: FieldNode) => value === '__schema' || value === '__type'

function add(size: Size, inner: Size): void {
  size.selections = Math.min(most, size.selections + inner.selections)
  size.aliases = Math.min(most, size.aliases + inner.aliases)
  size.directives = Math.min(most, size.directives + inner.directives)
}

function refuseBeyond(size: Size): void {
  for (const name of ['depth', 'aliases', 'directives', 'selections'] as const)
    if (size[name] > documentLimits[name]) throw tooMuch(name, documentLimits[name])
}

const words = {
  depth: 'levels of fields',
  breadth: 'fields, spread out',
  complexity: 'points of cost (a field in a list counts once for each row asked for)',
  selections: 'fields, spread out',
  introspections: 'fields __schema and __type',
} as Record<string, string>

/** The one sentence for every such bound. */
export function tooMuch(what: string, limit: number) {
  return requestError(
    'TOO_COMPLEX',
    `A document may have at most ${limit} ${words[what] ?? what}; ask in several requests.`,
  )
}

/** Levels of variables: more than any input has, and less than what a stack takes. */
const variableLevelsMax = 100

/**
 * Refuses a document that is too long, and text that no database stores: the character NUL and halves of surrogate pairs.
 */
export function textError(query: string, variables: unknown): GraphQLError | undefined {
  if (query.length > documentLimits.characters) return tooMuch('characters', documentLimits.characters)
  const found = isStorable(query) && !/\\u(?:0000|\{0+\})/.test(query) ? textsOf(variables) : 'NOT_TEXT'
  if (found === 'TOO_DEEP') return requestError('BAD_DOCUMENT', 'The variables are nested too deeply.')
  if (found === 'NOT_TEXT') return requestError('BAD_DOCUMENT', 'Text may hold neither NUL nor half a surrogate pair.')
  return undefined
}

const isStorable = (text: string) => !text.includes('\0') && text.isWellFormed()

/** Looks at each text of the variables once, level by level, so that no nesting takes the stack. */
function textsOf(variables: unknown): 'TEXT' | 'NOT_TEXT' | 'TOO_DEEP' {
  let level: unknown[] = [variables]
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > variableLevelsMax) return 'TOO_DEEP'
    const below: unknown[] = []
    for (const value of level) {
      if (typeof value === 'string' && !isStorable(value)) return 'NOT_TEXT'
      if (typeof value !== 'object' || value === null) continue
      if (!Array.isArray(value) && !Object.keys(value).every(isStorable)) return 'NOT_TEXT'
      for (const inner of Object.values(value)) below.push(inner)
    }
    level = below
  }
  return 'TEXT'
}
