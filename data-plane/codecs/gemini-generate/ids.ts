/** Gemini mostly gives its calls no ids, other protocols need them: these are made up, and taken off again towards Gemini. */
const madeUp = 'call_sluice_'

/**
 * The same for one call of one answer, however it is read, and another for every other answer. At most 40 letters, which is
 * what OpenAI takes when a conversation moves on to it.
 */
export function madeUpId(answerId: string, choice: number, call: number): string {
  const known = answerId.replace(/[^A-Za-z0-9_-]/g, '').slice(-20)
  return `${madeUp}${known}${choice > 0 ? `-${choice}` : ''}_${call}`
}

export const isMadeUp = (id: string) => id.startsWith(madeUp)
