import { crc32 } from 'node:zlib'

/**
 * A frame of the journal: payload length (u32) · CRC-32 of all that follows (u32) · type (u8) · synced (u32) · payload, little
 * endian. `synced` is how much of the segment was known to be on disk when the frame was written: it tells a tail that was
 * torn by a crash from damage to what had been safe. Segments are preallocated, so a length of 0 is their end.
 */
export const frameHeadBytes = 13
export const framePayloadBytesMax = 4 * 1024 * 1024

export const frameTypes = { segment: 1, intent: 2, record: 3, epoch: 4, lease: 5 } as const
export type FrameType = keyof typeof frameTypes
const typeOfByte = new Map<number, FrameType>(
  Object.entries(frameTypes).map(([type, byte]) => [byte, type as FrameType]),
)

export interface Frame {
  type: FrameType
  synced: number
  payload: Buffer
  /** Just behind the frame. */
  end: number
}

/** The bytes of a frame. */
export function packFrame(type: FrameType, synced: number, payload: string): Buffer {
  const bytes = Buffer.allocUnsafe(frameHeadBytes + Buffer.byteLength(payload))
  bytes.write(payload, frameHeadBytes)
  bytes.writeUInt32LE(bytes.length - frameHeadBytes, 0)
  bytes[8] = frameTypes[type]
  bytes.writeUInt32LE(synced, 9)
  bytes.writeUInt32LE(crc32(bytes.subarray(8)), 4)
  return bytes
}

/** The frame at this offset; 'end' where none begins, 'bad' where its bytes are not a frame. */
export function readFrame(bytes: Buffer, at: number): Frame | 'end' | 'bad' {
  if (at + frameHeadBytes > bytes.length) return isZero(bytes, at) ? 'end' : 'bad'
  const length = bytes.readUInt32LE(at)
  if (length === 0) return isZero(bytes.subarray(at, at + frameHeadBytes), 0) ? 'end' : 'bad'
  const end = at + frameHeadBytes + length
  if (length > framePayloadBytesMax || end > bytes.length) return 'bad'
  if (crc32(bytes.subarray(at + 8, end)) !== bytes.readUInt32LE(at + 4)) return 'bad'
  const type = typeOfByte.get(bytes[at + 8]!)
  if (!type) return 'bad'
  return { type, synced: bytes.readUInt32LE(at + 9), payload: bytes.subarray(at + frameHeadBytes, end), end }
}

function isZero(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at++) if (bytes[at] !== 0) return false
  return true
}

/** Frames of a segment, and where its good part ends. */
export interface SegmentFrames {
  frames: (Frame & { at: number })[]
  end: number
  /** Bytes behind `end` are no frames: 'torn' where none of them was ever known to be on disk, 'damaged' where some was. */
  tail: 'clean' | 'torn' | 'damaged'
}

/** Reads a whole segment. */
export function readFrames(bytes: Buffer): SegmentFrames {
  const frames: (Frame & { at: number })[] = []
  let at = 0
  for (;;) {
    const frame = readFrame(bytes, at)
    if (frame === 'end') return { frames, end: at, tail: isZero(bytes, at) ? 'clean' : tailOf(bytes, at) }
    if (frame === 'bad') return { frames, end: at, tail: tailOf(bytes, at) }
    frames.push({ ...frame, at })
    at = frame.end
  }
}

/** Looks behind the bad bytes for a later frame that says they had been safe. */
function tailOf(bytes: Buffer, badAt: number): 'torn' | 'damaged' {
  for (let at = badAt + 1; at + frameHeadBytes <= bytes.length; at++) {
    const length = bytes.readUInt32LE(at)
    if (length === 0 || length > framePayloadBytesMax || !typeOfByte.has(bytes[at + 8]!)) continue
    const frame = readFrame(bytes, at)
    if (typeof frame === 'object' && frame.synced > badAt) return 'damaged'
  }
  return 'torn'
}
