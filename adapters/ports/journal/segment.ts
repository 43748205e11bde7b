import {
  closeSync,
  fdatasync,
  fdatasyncSync,
  ftruncateSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  unlinkSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { frameHeadBytes, readFrame } from './frame.ts'

const fdatasyncAsync = promisify(fdatasync)

/** Room of one segment; a frame larger than what is left opens the next. */
export const segmentBytes = 16 * 1024 * 1024

const fileName = (number: number) => `${number.toString().padStart(10, '0')}.journal`

/** The numbers of the segments in a folder, ascending. */
export function segmentNumbers(folder: string): number[] {
  return readdirSync(folder)
    .filter((name) => /^\d{10}\.journal$/.test(name))
    .map((name) => Number.parseInt(name, 10))
    .sort((a, b) => a - b)
}

/** One file of the journal, preallocated so that an append changes no metadata that would have to be synced too. */
export class Segment {
  /** Written to the operating system up to here. */
  end = 0
  /** On disk up to here. */
  synced = 0

  private constructor(
    readonly number: number,
    readonly path: string,
    readonly fd: number,
  ) {}

  /** Makes a new segment; its name is new too, so nothing is overwritten. */
  static create(folder: string, number: number): Segment {
    const path = join(folder, fileName(number))
    const segment = new Segment(number, path, openSync(path, 'wx+', 0o600))
    try {
      ftruncateSync(segment.fd, segmentBytes)
    } catch (error) {
      segment.remove()
      throw error
    }
    return segment
  }

  /** Opens a segment that is there, with its bytes for replay. */
  static open(folder: string, number: number): { segment: Segment; bytes: Buffer } {
    const path = join(folder, fileName(number))
    return { segment: new Segment(number, path, openSync(path, 'r+')), bytes: readFileSync(path) }
  }

  hasRoom(bytes: number): boolean {
    return this.end + bytes <= segmentBytes
  }

  /** Hands bytes to the operating system: they survive the process, not yet the machine. */
  write(bytes: Buffer): void {
    try {
      // A full disk may take a part without calling it an error.
      for (let done = 0; done < bytes.length; ) {
        const written = writeSync(this.fd, bytes, done, bytes.length - done, this.end + done)
        if (written === 0) throw Object.assign(new Error('nothing was written'), { code: 'ENOSPC' })
        done += written
      }
    } catch (error) {
      this.#blank(this.end)
      throw error
    }
    this.end += bytes.length
  }

  /** Makes what was written up to now durable. */
  async sync(): Promise<void> {
    const end = this.end
    await fdatasyncAsync(this.fd)
    this.synced = Math.max(this.synced, end)
  }

  /** Makes it durable before this returns; for the rare moments when nothing may come in between. */
  syncNow(): void {
    fdatasyncSync(this.fd)
    this.synced = this.end
  }

  /** Forgets everything from `end` on, for a tail that a crash tore. */
  cut(end: number): void {
    this.#blank(end)
    this.end = end
    this.synced = end
  }

  /** Only zeros from here on. */
  #blank(from: number): void {
    ftruncateSync(this.fd, from)
    ftruncateSync(this.fd, segmentBytes)
  }

  /** The text of the frame at this offset. */
  read(at: number): string {
    const head = Buffer.alloc(frameHeadBytes)
    readSync(this.fd, head, 0, frameHeadBytes, at)
    const bytes = Buffer.alloc(frameHeadBytes + head.readUInt32LE(0))
    readSync(this.fd, bytes, 0, bytes.length, at)
    const frame = readFrame(bytes, 0)
    if (typeof frame === 'string') throw new Error(`the journal is damaged: no frame at ${this.path}:${at}`)
    return frame.payload.toString()
  }

  close(): void {
    closeSync(this.fd)
  }

  remove(): void {
    this.close()
    unlinkSync(this.path)
  }
}
