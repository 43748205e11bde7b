import type { Meter } from '../schema/config/index.ts'
import type { MeterSource } from '../schema/flight-record.ts'

/** What one meter counted, before it is priced. */
export interface Reading {
  meter: Meter
  quantity: number
  source: MeterSource
}
