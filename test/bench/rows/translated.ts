import { measureFullLoad } from '../load.ts'
import type { Asked } from '../payload.ts'
import type { Row, Target } from '../row.ts'
import { type Parts, sluice } from '../sluice.ts'

/** At full load the gateway's core is busy throughout, so 1.6 × the CPU is 1 / 1.6 of the answers. */
const target: Target = { text: '≥ 0.62', met: ({ ratio }) => ratio! >= 1 / 1.6 }

/** A client of one protocol, a provider of another, against the same request passed through. */
const row = (name: string, title: string, asked: Asked, codec: NonNullable<Parts['codec']>): Row => ({
  name,
  title,
  against: { row: 'sluice-plain', as: 'ratio' },
  measure: async (bed) => {
    // A gateway that passes through is the very one of the row that this is held against.
    const parts: Parts = codec === 'OPENAI_CHAT' ? {} : { codec }
    return measureFullLoad(bed, name, await sluice(bed, parts), false, asked)
  },
  target,
})

export const translatedRows = [
  row('anthropic-to-chat', 'Sluice, Messages to chat, plain', 'anthropic', 'OPENAI_CHAT'),
  row('responses-to-chat', 'Sluice, responses to chat, plain', 'responses', 'OPENAI_CHAT'),
  row('chat-to-anthropic', 'Sluice, chat to Messages, plain', 'chat', 'ANTHROPIC_MESSAGES'),
]
