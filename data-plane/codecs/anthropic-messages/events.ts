import { isMonstrous } from '../../json-members.ts'
import type { AnswerFault } from '../codec.ts'
import { brokeOff } from '../gathered.ts'
import type { Json } from '../json.ts'
import { readToldError } from './errors.ts'

/** One event of a streamed answer, by its data alone: its name says the same. A fault where it tells an error, or is none. */
export function readEvent(data: string): { event: Json } | AnswerFault {
  if (isMonstrous(data)) return brokeOff('It sent an event that is nested absurdly.')
  let event: Json
  try {
    event = JSON.parse(data)
  } catch {
    return brokeOff('It sent an event that is not JSON.')
  }
  if (typeof event !== 'object' || event === null || typeof event.type !== 'string')
    return brokeOff('It sent an event without a type.')
  return event.type === 'error' ? readToldError(event, data) : { event }
}
