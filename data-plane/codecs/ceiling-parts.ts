import type { AskedTier, ChosenTier, TokenCeiling, Unbounded } from './codec.ts'
import { type Json, textOf } from './json.ts'

/** No tokenizer makes more than one token of a byte. */
export const utf8Bytes = (text: string): number => Buffer.byteLength(text)

/** The most input there can be: what is seen, at most the context; infinite `seen` stands for what is not seen. */
export function inputCeiling(seen: number, context: number | null, visible: () => number): number {
  if (Number.isFinite(seen)) return Math.min(seen, context ?? seen)
  return context ?? visible()
}

/** Something is not seen, and no context bounds it. */
export function unseenIn(seen: number, context: number | null, field: string): Unbounded | undefined {
  return Number.isFinite(seen) || context !== null ? undefined : { field, why: unseenWhy }
}

const unseenWhy = 'holds something whose size is not seen here, while its model declares no context'

/** The first of the fields that is there, and why it has no bound. */
export function firstUnbounded(body: Json, table: Readonly<Record<string, string>>): Unbounded | undefined {
  for (const field in table) {
    const value = body[field]
    if (value == null || value === false || (Array.isArray(value) && value.length === 0)) continue
    return { field, why: table[field]! }
  }
  return undefined
}

/** The provider chooses, by what is agreed with it. */
export const anyTier: ChosenTier = Object.freeze({ except: null })
/** So does Anthropic, but its fast mode is only had by asking. */
export const unhurried: ChosenTier = Object.freeze({ except: 'fast' })

/** The service tiers of OpenAI's protocols: unsaid, the project's own holds, and `fast` is another name of `priority`. */
export function openaiTier({ service_tier: asked }: Json): TokenCeiling['serviceTier'] {
  if (asked == null || asked === 'auto') return anyTier
  const name = textOf(asked).toLowerCase()
  return name === 'default' ? undefined : askedTier('service_tier', name === 'fast' ? 'priority' : name)
}

export const askedTier = (field: string, name: string): AskedTier => ({ field, name: name.toLowerCase() })

/** A tier as a provider reports it, in lower case; undefined where it reports none. */
export function reportedTier(value: unknown): string | undefined {
  return typeof value === 'string' && value.length <= 100 ? value.toLowerCase() : undefined
}
