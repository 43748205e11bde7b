import { mkdirSync } from 'node:fs'
import { type FrameType, framePayloadBytesMax, packFrame } from './frame.ts'
import { Segment, segmentBytes } from './segment.ts'

/** Frames that are written but not yet durable; more than this and the recorder refuses. */
const unsyncedBytesMax = 64 * 1024 * 1024

interface Unsynced {
  type: FrameType
  payload: string
  onDurable: ((segment: Segment, at: number) => void) | undefined
  segment: Segment
  at: number
}

/** What a new segment begins with, so that older ones can be removed: the state that they led to. */
export type SegmentStart = () => string

/**
 * The files of the journal: one writer, group commit without a timer (the next sync starts when the last one ends), frames
 * written to the operating system at once or with the next sync. A failed sync is final for its segment: what it held goes
 * into a new one.
 */
export class Journal {
  readonly segments = new Map<number, Segment>()
  #current: Segment
  #unsynced: Unsynced[] = []
  #unsyncedBytes = 0
  #waiters: (() => void)[] = []
  #syncing = false
  #broken: string | undefined
  #reopenAtMs = 0

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
    if (this.#broken && Date.now() >= this.#reopenAtMs) this.#reopen()
    if (this.#broken) return this.#broken
    if (this.#unsyncedBytes > unsyncedBytesMax) return 'The disk is too slow for the records that are waiting.'
    if (this.segments.size * segmentBytes > this.bytesMax)
      return 'The journal is full of records that were not delivered.'
    return undefined
  }

  /** Appends a frame; it is in the operating system's hands when this returns. `onDurable` is told where it is. */
  append(type: FrameType, payload: string, onDurable?: Unsynced['onDurable']): void {
    const bytes = packFrame(type, this.#current.synced, payload)
    if (bytes.length > framePayloadBytesMax) throw new Error('a journal frame is too large')
    if (!this.#current.hasRoom(bytes.length)) this.#roll()
    const at = this.#current.end
    try {
      this.#current.write(bytes)
    } catch (error) {
      this.#breakWith(error)
    }
    this.#unsynced.push({ type, payload, onDurable, segment: this.#current, at })
    this.#unsyncedBytes += bytes.length
  }

  /** Resolves when everything appended so far is on disk; false where it could not be brought there. */
  durable(): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = () => resolve(this.#broken === undefined)
      this.#waiters.push(settle)
      if (!this.#syncing) void this.#syncLoop()
    })
  }

  async #syncLoop(): Promise<void> {
    this.#syncing = true
    while (this.#waiters.length > 0) {
      const waiters = this.#waiters
      const frames = this.#unsynced
      this.#waiters = []
      this.#unsynced = []
      if (this.#broken) {
        this.#unsynced = [...frames, ...this.#unsynced]
        for (const settle of waiters) settle()
        continue
      }
      try {
        for (const segment of new Set(frames.map((frame) => frame.segment))) await segment.sync()
        this.#unsyncedBytes = this.#unsynced.reduce((sum, frame) => sum + frame.payload.length, 0)
        for (const frame of frames) frame.onDurable?.(frame.segment, frame.at)
      } catch (error) {
        this.#unsynced = [...frames, ...this.#unsynced]
        this.#breakWith(error)
      }
      for (const settle of waiters) settle()
    }
    this.#syncing = false
  }

  /** From here on nothing is kept until another segment takes it: a second sync of this one could falsely succeed. */
  #breakWith(error: unknown): void {
    this.#broken = `The disk refused to keep the journal (${(error as NodeJS.ErrnoException).code ?? 'unknown error'}).`
    this.#reopenAtMs = Date.now() + 1_000
  }

  /** After a failed sync: what was not durable is written again, into a segment of its own. */
  #reopen(): void {
    this.#reopenAtMs = Date.now() + 1_000
    try {
      this.#roll()
      const frames = this.#unsynced
      this.#unsynced = []
      for (const frame of frames) this.append(frame.type, frame.payload, frame.onDurable)
      this.#broken = undefined
    } catch {
      // Still broken; tried again in a second.
    }
  }

  #roll(): void {
    this.#current = this.#create()
  }

  #create(): Segment {
    const number = Math.max(0, ...this.segments.keys()) + 1
    const segment = Segment.create(this.folder, number)
    segment.write(packFrame('segment', 0, this.start()))
    this.segments.set(number, segment)
    return segment
  }

  /** Removes whole segments before this one. */
  removeBefore(number: number): void {
    for (const segment of this.segments.values()) {
      if (segment.number >= number || segment === this.#current) continue
      if (this.#unsynced.some((frame) => frame.segment === segment)) continue
      this.segments.delete(segment.number)
      segment.remove()
    }
  }

  async close(): Promise<void> {
    await this.durable()
    for (const segment of this.segments.values()) segment.close()
  }
}
