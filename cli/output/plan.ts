import type { FieldChange, Plan } from '../files/plan.ts'
import type { Io } from '../io.ts'
import { type Colour, paint } from './paint.ts'
import { plain } from './table.ts'

const marks = {
  CREATE: ['+', 'green'],
  UPDATE: ['~', 'yellow'],
  ARCHIVE: ['-', 'red'],
  RESTORE: ['+', 'green'],
  UNCHANGED: [' ', 'dim'],
} as const

/** From here on, new resources are told by their names alone; `-o json` holds every field. */
const detailedMax = 30
/** More values than this in one new field are told by their number. */
const valuesMax = 8

/** A plan for people: what would change, field by field, then what it touches and what to beware of. */
export function formatPlan(io: Pick<Io, 'env' | 'isStdoutTty'>, plan: Plan): string {
  const colour = paint(io.isStdoutTty, io.env)
  const changed = plan.changes.filter(({ action }) => action !== 'UNCHANGED')
  const lines = changed.flatMap(({ action, ref, fields }) => {
    const [mark, hue] = marks[action]
    const told = action !== 'CREATE' ? fields : changed.length > detailedMax ? [] : fieldsOfNew(fields)
    const width = Math.max(0, ...told.map(({ path }) => path.join('.').length))
    return [
      colour[hue as Colour](`${mark} ${plain(ref)}`),
      ...told.map(({ path, before, after }) => {
        const name = plain(path.join('.')).padEnd(width)
        if (before === null) return `    ${name}  ${plain(after ?? '')}`
        return `    ${name}  ${colour.dim(plain(before))} → ${after === null ? colour.dim('(none)') : plain(after)}`
      }),
    ]
  })
  const warnings = plan.warnings.map(({ message }) => `${colour.yellow('warning')} ${plain(message)}`)
  return `${[...lines, ...warnings, colour.bold(summaryOf(plan))].join('\n')}\n`
}

/** What says something of a new resource: not its name again, nothing empty, and of a long list only how much it holds. */
function fieldsOfNew(fields: readonly FieldChange[]): FieldChange[] {
  const telling = fields.filter(({ path, after }) => path[0] !== 'name' && after !== '{}' && after !== '[]')
  return [...Map.groupBy(telling, ({ path }) => path[0]!)].flatMap(([field, values]) =>
    values.length > valuesMax ? [{ path: [field], before: null, after: `(${values.length} values)` }] : values,
  )
}

/** One line: how much of what, and whom it touches. */
export function summaryOf({ changes, impact }: Plan): string {
  const count = (action: string) => changes.filter((change) => change.action === action).length
  const parts = [
    some(count('CREATE'), 'to create'),
    some(count('UPDATE'), 'to change'),
    some(count('ARCHIVE'), 'to archive'),
    some(count('RESTORE'), 'to restore'),
    some(count('UNCHANGED'), 'unchanged'),
  ].filter((part) => part !== undefined)
  if (changes.every(({ action }) => action === 'UNCHANGED')) return `No change (${count('UNCHANGED')} as declared).`
  const touched = [
    counted(impact.projects, 'project'),
    counted(impact.apiKeys, 'key'),
    counted(impact.dataPlanes, 'data plane'),
    counted(impact.requestsLastDay, 'request', ' in the last day'),
  ].filter((part) => part !== undefined)
  return `${parts.join(', ')}.${touched.length > 0 ? ` Touches ${touched.join(', ')}.` : ''}`
}

const some = (count: number, what: string) => (count > 0 ? `${count} ${what}` : undefined)
const counted = (count: number, what: string, more = '') =>
  count > 0 ? `${count} ${what}${count === 1 ? '' : 's'}${more}` : undefined
