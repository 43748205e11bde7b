import type { CounterPer } from '../../../schema/config/index.ts'
import type { Kind } from '../../../schema/handles.ts'

/** Which resources a budget with `per` counts; values of a label are none. */
export const subjectKinds = {
  TEAM: 'team',
  PROJECT: 'project',
  PRINCIPAL: 'principal',
  API_KEY: 'apiKey',
  MODEL: 'model',
} as const satisfies Record<Exclude<CounterPer, 'LABEL_VALUE'>, Kind>

export const subjectCharactersMax = 256

/** What may be a label's value: the database knows neither NUL nor half a character. */
export const isLabelValue = (text: string): boolean =>
  text !== '' && text.length <= subjectCharactersMax && text.isWellFormed() && !text.includes('\0')
