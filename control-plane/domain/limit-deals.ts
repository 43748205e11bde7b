/** How rate limits are dealt among instances, as plain arithmetic over sets. The protocol is in `schema/link-shares.ts`. */
export interface Deal {
  deal: number
  target: string[]
  holders: string[]
  waiting: string[]
  fresh: boolean
}

export const isSettled = ({ waiting }: Pick<Deal, 'waiting'>) => waiting.length === 0

/**
 * The deal that follows, given who is there now: the same one where nothing changed. Whoever is not there any more has nothing: it
 * gave it back, or was silent for longer than a part is kept.
 */
export function dealAgain(known: Deal | undefined, there: readonly string[]): Deal {
  const target = [...there].sort()
  if (!known) return settled({ deal: 1, target, holders: [], waiting: [], fresh: true })
  const isThere = (instance: string) => there.includes(instance)
  const holders = known.holders.filter(isThere)
  if (target.length === known.target.length && target.every((one, at) => one === known.target[at]))
    return settled({ ...known, holders, waiting: known.waiting.filter(isThere) })
  // What was settled, its target has; of what was not, nobody has more than before.
  const had = (isSettled(known) ? known.target : known.holders).filter(isThere)
  return settled({ deal: known.deal + 1, target, holders: had, waiting: had, fresh: false })
}

/** An instance says that a deal is in force there. */
export function dealTaken(known: Deal, instance: string, deal: number): Deal {
  if (deal !== known.deal) return known
  return settled({ ...known, waiting: known.waiting.filter((one) => one !== instance) })
}

/** Once nobody is waited for, everybody has what the deal says and nothing else. */
function settled(deal: Deal): Deal {
  return isSettled(deal) ? { ...deal, holders: deal.target } : deal
}
