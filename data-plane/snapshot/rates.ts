import type { Meter } from '../../schema/config/index.ts'
import type { SnapshotPriceSheet } from '../../schema/snapshot.ts'
import type { RateCard, Rates, RateTable, RunningModel, Unpriced } from './running.ts'

type Line = SnapshotPriceSheet['lines'][number]

/** What a model costs when: the latest sheet in effect that names it holds, whole. */
export function ratesFor(model: RunningModel, atMs: number): RateCard | Unpriced {
  for (const card of model.rateHistory) if (card.effectiveFromMs <= atMs) return card
  for (const { effectiveFromMs, ceiling } of model.ceilingHistory)
    if (effectiveFromMs <= atMs) return { unpriced: true, ceiling }
  return { unpriced: true, ceiling: null }
}

export function isUnpriced(rates: RateCard | Unpriced): rates is Unpriced {
  return 'unpriced' in rates
}

/** Each model's cards, by the model's position, latest first. A self-hosted model costs nothing before its first sheet. */
export function rateHistories(sheets: readonly SnapshotPriceSheet[], selfHosted: readonly boolean[]): RateCard[][] {
  const histories: RateCard[][] = selfHosted.map(() => [])
  for (const sheet of latestFirst(sheets))
    for (const [model, lines] of Map.groupBy(sheet.lines, (line) => line.model))
      histories[model]!.push(rateCard(sheet, lines))
  selfHosted.forEach((free, model) => {
    if (free) histories[model]!.push(freeCard)
  })
  return histories
}

/** Ceilings for unpriced models, latest first. A sheet that declares none leaves an earlier sheet's in force. */
export function ceilingHistory(sheets: readonly SnapshotPriceSheet[]): { effectiveFromMs: number; ceiling: bigint }[] {
  return latestFirst(sheets).flatMap(({ effectiveFromMs, unpricedCeiling }) =>
    unpricedCeiling === null ? [] : [{ effectiveFromMs, ceiling: BigInt(unpricedCeiling) }],
  )
}

const freeCard: RateCard = Object.freeze({
  sheet: null,
  effectiveFromMs: Number.NEGATIVE_INFINITY,
  standard: Object.freeze({ rates: new Map<Meter, bigint>(), steps: Object.freeze([]) }),
  tiers: new Map<string, RateTable>(),
})

function latestFirst(sheets: readonly SnapshotPriceSheet[]): SnapshotPriceSheet[] {
  return [...sheets].sort((a, b) => b.effectiveFromMs - a.effectiveFromMs || (a.id < b.id ? 1 : -1))
}

function rateCard(sheet: SnapshotPriceSheet, lines: readonly Line[]): RateCard {
  const standard = lines.filter((line) => line.serviceTier === null)
  const tiers = Map.groupBy(
    lines.filter((line) => line.serviceTier !== null),
    (line) => line.serviceTier!.toLowerCase(),
  )
  return Object.freeze({
    sheet: sheet.id,
    effectiveFromMs: sheet.effectiveFromMs,
    standard: rateTable(standard),
    // A tier's own lines come last, so that they win over the standard ones of the same meter and step.
    tiers: new Map([...tiers].map(([tier, own]) => [tier, rateTable([...standard, ...own])])),
  })
}

function rateTable(lines: readonly Line[]): RateTable {
  const above = [...new Set(lines.flatMap((line) => line.aboveInputTokens ?? []))].sort((a, b) => a - b)
  const steps = above.map((aboveInputTokens) =>
    Object.freeze({
      aboveInputTokens,
      rates: merged(lines.filter((line) => (line.aboveInputTokens ?? 0) <= aboveInputTokens)),
    }),
  )
  const rates = merged(lines.filter((line) => line.aboveInputTokens === null))
  return Object.freeze({ rates, steps: Object.freeze(steps.reverse()) })
}

/** Later lines replace earlier ones; a higher step is more particular than a lower one. */
function merged(lines: readonly Line[]): Rates {
  const byStep = lines.toSorted((a, b) => (a.aboveInputTokens ?? 0) - (b.aboveInputTokens ?? 0))
  return new Map(byStep.map((line) => [line.meter, BigInt(line.unitPrice)]))
}
