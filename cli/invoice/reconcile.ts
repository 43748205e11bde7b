import { type Failed, failed } from '../trouble.ts'
import { type Comparison, compare, type Side, type Tolerance } from './compare.ts'
import type { Measure } from './figures.ts'
import { type KnownModel, ModelNames } from './names.ts'
import type { Invoice } from './read.ts'
import type { Declared, RecordedLine } from './records.ts'

/** An export's lines under the names that the records have, and who is compared. */
export interface Matched {
  sides: Side[]
  /** Names that stand for no declared model. */
  unknown: string[]
  /** Whose records are compared. */
  providers: string[]
}

/** Which models the export may name: those of one provider that was told, else those on the export's platforms. */
export function candidates(declared: Declared, invoice: Invoice, provider: string | null): KnownModel[] {
  if (provider) return declared.models.filter((model) => model.provider === provider)
  const fitting = declared.models.filter(({ platform }) => invoice.platforms.includes(platform))
  return fitting.length > 0 ? fitting : declared.models
}

/** What both sides are called: the provider and its own name of the model, which several declared models may share. */
const sharedName = ({ provider, upstreamName }: { provider: string; upstreamName: string }) =>
  `${provider}/${upstreamName}`

export function matchNames(
  invoice: Invoice,
  models: readonly KnownModel[],
  aliases: ReadonlyMap<string, string>,
  told: ReadonlyMap<string, string>,
): Matched | Failed {
  const names = new ModelNames(models, aliases, told)
  const unknown = new Set<string>()
  const providers = new Set<string>()
  const sides: Side[] = []
  for (const { day, model, figures } of invoice.lines.values()) {
    const named = names.find(model)
    if (named && 'ambiguous' in named)
      return failed('AMBIGUOUS', `${JSON.stringify(model)} may be ${named.ambiguous.slice(0, 5).join(' or ')}.`, {
        advice: `say whose export it is with --provider, or --map ${JSON.stringify(`${model}=${named.ambiguous[0]}`)}`,
      })
    if (named) providers.add(named.provider)
    else unknown.add(model)
    sides.push({ day, model: named ? sharedName(named) : model, figures })
  }
  return { sides, unknown: [...unknown].sort(), providers: [...providers].sort() }
}

/** Both sides, judged. Where an export tells no cached input, its input holds it. */
export function reconcile(
  matched: Matched,
  recorded: readonly RecordedLine[],
  measures: readonly Measure[],
  tolerance: Tolerance,
): Comparison {
  const tellsCached = measures.includes('cached')
  const records = recorded.map(({ day, model, known, figures }) => ({
    day,
    model: known ? sharedName(known) : model,
    figures: tellsCached ? figures : { ...figures, input: figures.input + figures.cached, cached: 0n },
  }))
  // What no model served cost nothing and is on no invoice.
  const spent = records.filter(({ figures }) => measures.some((measure) => figures[measure] !== 0n))
  const billed = matched.sides.filter(({ figures }) => measures.some((measure) => figures[measure] !== 0n))
  return compare(billed, spent, measures, tolerance)
}
