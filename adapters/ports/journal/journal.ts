import { mkdirSync } from 'node:fs'
import { type FrameType, frameHeadBytes, framePayloadBytesMax, packFrame } from './frame.ts'
import { Segment, segmentBytes } from './segment.ts'

/** Frames that are written but not yet durable; more than this and the recorder refuses. */
const unsyncedBytesMax = 64 * 1024 * 1024

interface Unsynced {
  type: FrameType
  payload: string
  onDurable: ((segment: Segment, at: number) => void) | undefined
  /** Where it was written; null while it could not be. */
  place: { segment: Segment; at: number } | null
}

/** What a new segment begins with, so that older ones can be removed: the state that they led to, in frames. */
export type SegmentStart = () => { type: FrameType; payload: string }[]

const reopenEveryMs = 1_000

/**
 * The files of the journal: one writer, group commit without a timer (the next sync starts when the last one ends), frames
 * written to the operating system at once. A failed write or sync is final for its segment: what was not durable is written
 * again, into a new one, as soon as the disk takes it.
 */
export class Journal {
  readonly segments = new Map<number, Segment>()
  #current: Segment
  /** Frames that no sync has covered yet, in order. */
  #unsynced: Unsynced[] = []
  /** Frames of the sync under way. */
  #syncing: Unsynced[] = []
  #unsyncedBytes = 0
  #waiters: ((isDurable: boolean) => void)[] = []
  #isSyncing = false
  #broken: string | undefined
  #reopening: ReturnType<typeof setTimeout> | undefined

  constructor(
    readonly folder: string,
    readonly bytesMax: number,
    readonly start: SegmentStart,
    segments: Segment[],
  ) {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
    for (const segment of segments) this.segments.set(segment.number, segment)
    this.#current = segments.at(-1) ?? this.#create()
  }

  /** The segment that frames go to. */
  get currentNumber(): number {
    return this.#current.number
  }

  /** Why nothing can be recorded now; undefined where it can. */
  get trouble(): string | undefined {
    if (this.#broken) return this.#broken
    if (this.#unsyncedBytes > unsyncedBytesMax) return 'The disk is too slow for the records that are waiting.'
    if (this.segments.size * segmentBytes > this.bytesMax)
      return 'The journal is full of records that were not delivered.'
    return undefined
  }

  /** Appends a frame; unless there is trouble it is in the operating system's hands when this returns. */
  append(type: FrameType, payload: string, onDurable?: Unsynced['onDurable']): void {
    if (payload.length * 3 > framePayloadBytesMax && Buffer.byteLength(payload) > framePayloadBytesMax)
      throw new Error('a journal frame is too large')
    const frame: Unsynced = { type, payload, onDurable, place: null }
    this.#unsynced.push(frame)
    this.#unsyncedBytes += payload.length
    if (this.#broken === undefined) this.#write(frame)
  }

  #write(frame: Unsynced): void {
    try {
      if (!this.#current.hasRoom(frameBytes(frame.payload))) this.#roll()
      const segment = this.#current
      const at = segment.end
      segment.write(packFrame(frame.type, segment.synced, frame.payload))
      frame.place = { segment, at }
    } catch (error) {
      this.#breakWith(error)
    }
  }

  /** Resolves when everything appended so far is on disk; false where it could not be brought there. */
  durable(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#waiters.push(resolve)
      if (!this.#isSyncing) void this.#syncLoop()
    })
  }

  async #syncLoop(): Promise<void> {
    this.#isSyncing = true
    while (this.#waiters.length > 0) {
      const waiters = this.#waiters
      this.#waiters = []
      const isDurable = this.#broken === undefined && (await this.#syncOnce())
      for (const settle of waiters) settle(isDurable)
    }
    this.#isSyncing = false
  }

  async #syncOnce(): Promise<boolean> {
    const frames = this.#unsynced
    this.#unsynced = []
    this.#syncing = frames
    try {
      for (const segment of new Set(frames.map(({ place }) => place!.segment))) await segment.sync()
    } catch (error) {
      this.#unsynced = [...frames, ...this.#unsynced]
      this.#breakWith(error)
      return false
    } finally {
      this.#syncing = []
    }
    this.#unsyncedBytes = this.#unsynced.reduce((sum, { payload }) => sum + payload.length, 0)
    for (const { onDurable, place } of frames) onDurable?.(place!.segment, place!.at)
    return true
  }

  /** From here on nothing is kept until another segment takes it: a second sync of this one could falsely succeed. */
  #breakWith(error: unknown): void {
    this.#broken = `The disk refused to keep the journal (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}).`
    this.#reopening ??= setTimeout(() => {
      this.#reopening = undefined
      this.#reopen()
    }, reopenEveryMs)
  }

  /** Cuts the broken segment to what is safe in it, and writes what was not safe into a new one. */
  #reopen(): void {
    try {
      if (this.#current.synced === 0) this.#drop(this.#current)
      else this.#current.cut(this.#current.synced)
      this.#current = this.#create()
    } catch (error) {
      this.#breakWith(error)
      return
    }
    this.#broken = undefined
    for (const frame of this.#unsynced) if (this.#broken === undefined) this.#write(frame)
    void this.durable()
  }

  /** The next segment. What the old one holds is made safe first, since only the last may have a torn tail. */
  #roll(): void {
    this.#current.syncNow()
    this.#current = this.#create()
  }

  #create(): Segment {
    const number = Math.max(0, ...this.segments.keys()) + 1
    const segment = Segment.create(this.folder, number)
    try {
      segment.write(Buffer.concat(this.start().map(({ type, payload }) => packFrame(type, 0, payload))))
    } catch (error) {
      segment.remove()
      throw error
    }
    this.segments.set(number, segment)
    return segment
  }

  #drop(segment: Segment): void {
    this.segments.delete(segment.number)
    segment.remove()
  }

  /** Removes whole segments before this one, the oldest first and none behind one that has to stay. */
  removeBefore(number: number): void {
    for (const segment of this.segments.values()) {
      if (segment.number >= number || segment === this.#current) return
      if ([...this.#syncing, ...this.#unsynced].some(({ place }) => place?.segment === segment)) return
      this.#drop(segment)
    }
  }

  async close(): Promise<void> {
    await this.durable()
    clearTimeout(this.#reopening)
    for (const segment of this.segments.values()) segment.close()
  }
}

const frameBytes = (payload: string) => frameHeadBytes + Buffer.byteLength(payload)
