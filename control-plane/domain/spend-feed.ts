import { encodeCursor, type Position } from '../../schema/cursor.ts'
import type { Context } from './context.ts'
import { addMeasures } from './measures.ts'
import { type AliasNames, groupsOf, type SpendGroup, type Sum } from './spend-groups.ts'
import { sumsOfRuns, type TickArgs } from './spend-replay.ts'
import type { Readers, SpendTick, Start } from './streams.ts'
import type { Batch } from './tenant-reader.ts'

/** At most four ticks a second. */
const tickMs = 250
const quietMs = 15_000
/** Different points that may wait for the next tick. */
const pointsMax = 50_000

/** What the records after `start`, up to and with `end`, added. One object for everybody who follows the same series. */
export interface SharedTick {
  start: Position
  end: Position
  tick: SpendTick
}

export type Follower = (tick: SharedTick | 'OVERFLOWED') => void

/** Series that somebody follows: each is added up once, however many follow it. */
export class SpendFeeds {
  readonly #ctx: Pick<Context, 'db' | 'clock'>
  readonly #readers: Readers
  readonly #feeds = new Map<string, { feed: Promise<SpendFeed>; followers: number }>()

  constructor(ctx: Pick<Context, 'db' | 'clock'>, readers: Readers) {
    this.#ctx = ctx
    this.#readers = readers
  }

  /**
   * Where a follower stands: what lies behind `after` up to `position` is to be replayed, then the feed's ticks come to
   * `follower`. Joining is one step with reading the position.
   */
  async join(
    tenant: string,
    args: TickArgs,
    cursor: string | null | undefined,
    follower: Follower,
  ): Promise<Pick<Start, 'after' | 'beyond' | 'detach'> & { position: Position }> {
    const asked = await this.#readers.positionOf(tenant, cursor)
    const key = JSON.stringify([tenant, args.interval, args.groupBy, args.groupByLabels, sorted(args.filter ?? {})])
    const entry = this.#feeds.get(key) ?? { feed: SpendFeed.open(this.#ctx, this.#readers, tenant, args), followers: 0 }
    this.#feeds.set(key, entry)
    entry.followers += 1
    const leave = () => {
      entry.followers -= 1
      if (entry.followers > 0 || this.#feeds.get(key) !== entry) return
      this.#feeds.delete(key)
      void entry.feed.then(
        (feed) => feed.close(),
        () => {},
      )
    }
    try {
      const feed = await entry.feed
      const unfollow = feed.follow(follower)
      const detach = () => {
        unfollow()
        leave()
      }
      const { position } = feed
      return { after: asked.position ?? position, beyond: asked.beyond, position, detach }
    } catch (error) {
      leave()
      throw error
    }
  }
}

const sorted = (filter: object) =>
  Object.entries(filter)
    .filter(([, value]) => value !== null && value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))

/** One series of one tenant: adds up what runs of the sequencer brought, and tells it at most four times a second. */
class SpendFeed {
  readonly #args: TickArgs
  readonly #clock: Context['clock']
  readonly #followers = new Set<Follower>()
  readonly #sums = new Map<string, Sum>()
  #names: AliasNames = new Map()
  #end: Position
  #timer: ReturnType<typeof setTimeout> | undefined
  #lastMs = Number.NEGATIVE_INFINITY
  #detach = () => {}
  /** Up to here it was told. */
  position: Position

  private constructor(ctx: Pick<Context, 'clock'>, args: TickArgs, position: Position) {
    this.#clock = ctx.clock
    this.#args = args
    this.position = position
    this.#end = position
  }

  static async open(ctx: Pick<Context, 'clock'>, readers: Readers, tenant: string, args: TickArgs): Promise<SpendFeed> {
    let feed: SpendFeed | undefined
    const { detach } = await readers.start(tenant, null, 'runs', ({ live }) => {
      feed = new SpendFeed(ctx, args, live)
      return (batch) => feed!.#add(batch)
    })
    feed!.#detach = detach
    feed!.#arm()
    return feed!
  }

  follow(follower: Follower): () => void {
    this.#followers.add(follower)
    return () => this.#followers.delete(follower)
  }

  close(): void {
    clearTimeout(this.#timer)
    this.#detach()
  }

  #add({ runs, end, aliasNames }: Batch): void {
    if (runs.length > 0) this.#names = aliasNames
    this.#end = end
    const before = this.#sums.size
    for (const sum of sumsOfRuns(runs, this.#args, this.#names)) {
      const key = JSON.stringify([sum.values, sum.atMs])
      const known = this.#sums.get(key)
      if (known) addMeasures(known.measures, sum.measures)
      else this.#sums.set(key, sum)
    }
    if (this.#sums.size > pointsMax) this.#overflow()
    else if (before === 0 && this.#sums.size > 0) this.#arm()
  }

  /** Sums to tell go out as soon as the last tick is old enough; a quiet series sends empty ticks, so that cursors advance. */
  #arm(): void {
    clearTimeout(this.#timer)
    const waitMs = this.#sums.size > 0 ? Math.max(0, tickMs - (performance.now() - this.#lastMs)) : quietMs
    this.#timer = setTimeout(() => this.#tell(), waitMs)
  }

  #tell(): void {
    const groups: SpendGroup[] = groupsOf(this.#sums.values(), this.#args, this.#names)
    this.#sums.clear()
    this.#lastMs = performance.now()
    const [start, end] = [this.position, this.#end]
    this.position = end
    this.#arm()
    const tick = { cursor: encodeCursor(end), at: new Date(this.#clock.now()), groups }
    for (const follower of this.#followers) follower({ start, end, tick })
  }

  /** More different points than may wait: everybody begins again from their cursor, which adds them up in the database. */
  #overflow(): void {
    this.#sums.clear()
    this.position = this.#end
    for (const follower of this.#followers) follower('OVERFLOWED')
  }
}
