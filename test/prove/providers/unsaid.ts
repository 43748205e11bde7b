import type { Play } from './cells.ts'
import type { FlightRecord } from './records.ts'

/** Fields that a vendor's protocol does not have: the gateway has to refuse them by name. */
const refusedBy: Record<string, string[]> = {
  'tool_choice.disable_parallel_tool_use': ['gemini', 'bedrock'],
}

/** What each client's dialect calls its wish to see reasoning. */
const shownFields = {
  chat: '',
  responses: 'reasoning.summary',
  anthropic: 'thinking.display',
  gemini: 'generationConfig.thinkingConfig.includeThoughts',
}

/** Vendors that sign no reasoning and take none back. */
const signsNothing = new Set(['openai', 'azure'])

/**
 * Why a client did not get all of a feature, where that is documented: refused by name, reported in the record, or nothing that
 * the gateway could do. Anything else is noted as wrong.
 */
export function judgeUnsaid(play: Play, records: FlightRecord[]): string[] {
  const why: string[] = []
  const { refused, missing, stage, client } = play
  const vendor = stage.vendor.name
  if (refused !== null) {
    if (!refusedBy[refused]?.includes(vendor)) play.wrong.push(`${refused} was refused, though ${vendor} has it`)
    else if (!records.some(({ lossy }) => lossy.includes(refused))) play.wrong.push(`${refused} was lost unreported`)
    else why.push(`${refused} is refused by name for ${vendor}, or reported where the alias allows losses`)
  }
  for (const part of missing) {
    const reason = unsaid(play, part, records)
    if (reason === undefined)
      play.wrong.push(`reasoning was not ${part}; lossy: ${records.map(({ lossy }) => lossy.join(' ')).join(', ')}`)
    else why.push(`${client.name} → ${vendor}: ${reason}`)
  }
  return why
}

function unsaid({ client, stage }: Play, part: Play['missing'][number], records: FlightRecord[]): string | undefined {
  const vendor = stage.vendor
  if (part === 'asked') return undefined
  if (part === 'replayed' && vendor.name === 'compatible' && client.leaves?.includes('unsigned'))
    return 'this SDK sends no reasoning back that is not signed'
  if (client.leaves?.includes(part)) return `this SDK leaves reasoning out itself (${part})`
  if (part === 'replayed') return signsNothing.has(vendor.name) ? 'this vendor takes no reasoning back' : undefined
  if (client.dialect === 'chat') return 'chat completions have no field that asks to see reasoning'
  if (vendor.thoughtsShown) return undefined
  const field = shownFields[client.dialect]
  return records.every(({ lossy }) => lossy.includes(field))
    ? `this vendor shows no reasoning; the record says that ${field} was lost`
    : undefined
}
