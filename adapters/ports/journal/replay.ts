import { mkdirSync } from 'node:fs'
import type { RecordDraft } from '../../../data-plane/record.ts'
import { type FlightRecord, recordHash } from '../../../schema/flight-record.ts'
import { type LeaseFrame, LeaseLog } from '../ledger/lease-frame.ts'
import { Chains, placeOf } from './chains.ts'
import { type Frame, readFrames } from './frame.ts'
import { Segment, segmentNumbers } from './segment.ts'

/** What the journal's files say after a start. */
export interface Replayed {
  folder: string
  segments: Segment[]
  chains: Chains
  epoch: number
  /** What is held of budgets, and what records posted of it. */
  leases: LeaseLog
  /** What was in flight when the process ended: each as it was intended, without an outcome. */
  openIntents: RecordDraft[]
}

interface SegmentHead {
  instance: string
  epoch: number
  heads: { tenant: string; epoch: number; sequence: number; hash: string }[]
}

/** Reads all segments. Only the last may have a torn tail, which is cut; damage anywhere else stops the start. */
export function replay(folder: string, instance: string): Replayed {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const state: Replayed = {
    folder,
    segments: [],
    chains: new Chains(),
    epoch: 0,
    leases: new LeaseLog(),
    openIntents: [],
  }
  const intents = new Map<string, RecordDraft>()
  const numbers = segmentNumbers(folder)
  const gap = numbers.findIndex((number, at) => at > 0 && number !== numbers[at - 1]! + 1)
  if (gap > 0)
    throw new Error(
      `The journal is damaged: between ${numbers[gap - 1]} and ${numbers[gap]} in ${folder} segments are missing. Restore them from a copy, or move the data directory away to start anew; what they held is then lost.`,
    )
  for (const number of numbers) {
    const { segment, bytes } = Segment.open(folder, number)
    const { frames, end, tail } = readFrames(bytes)
    if (tail === 'damaged' || (tail === 'torn' && number !== numbers.at(-1)))
      throw new Error(
        `The journal is damaged: ${segment.path} has bad bytes at ${end} where good ones had been. Restore it from a copy, or move the data directory away to start anew; what it held is then lost.`,
      )
    if (tail === 'torn') segment.cut(end)
    else segment.end = segment.synced = end
    // The process ended between making it and its first frame: without one it would not say where the chains stand.
    if (end === 0 && number === numbers.at(-1)) {
      segment.remove()
      continue
    }
    state.segments.push(segment)
    for (const frame of frames) apply(frame, segment, state, intents, instance)
  }
  state.openIntents = [...intents.values()]
  return state
}

function apply(
  frame: Frame & { at: number },
  segment: Segment,
  state: Replayed,
  intents: Map<string, RecordDraft>,
  instance: string,
): void {
  const text = frame.payload.toString()
  if (frame.type === 'segment') {
    begin(JSON.parse(text), state, instance)
    return
  }
  if (frame.type === 'epoch') {
    state.epoch = Math.max(state.epoch, JSON.parse(text).epoch)
    return
  }
  if (frame.type === 'intent') {
    const draft = JSON.parse(text) as RecordDraft
    intents.set(draft.id, draft)
    return
  }
  if (frame.type === 'lease') {
    state.leases.take(JSON.parse(text) as LeaseFrame)
    return
  }
  const record = JSON.parse(text) as FlightRecord
  intents.delete(record.id)
  const chain = state.chains.of(record.tenant, record.epoch)
  // After a failed sync a record may stand twice; the first counts.
  if (record.sequence <= chain.sequence) return
  chain.advance(record.sequence, recordHash(text))
  state.leases.post(record.tenant, record.postings)
  chain.durable(record.sequence, placeOf(segment.number, frame.at), record.at)
}

function begin(head: SegmentHead, state: Replayed, instance: string): void {
  if (head.instance !== instance)
    throw new Error(
      `The journal belongs to another instance (${head.instance}); each needs a data directory of its own.`,
    )
  state.epoch = Math.max(state.epoch, head.epoch)
  // Only before the oldest segment is anything missing, and that was delivered; what the others say has just been read.
  if (state.segments.length > 1) return
  for (const { tenant, epoch, sequence, hash } of head.heads) {
    const chain = state.chains.of(tenant, epoch)
    if (sequence <= chain.sequence) continue
    chain.advance(sequence, hash)
    chain.ack(sequence)
  }
}
