import type { Clock } from '../../schema/clock.ts'
import type { Database } from '../db/database.ts'
import type { Streams } from './streams.ts'
import type { Vault } from './vault.ts'

/** What every act of the control plane is given. */
export interface Context {
  db: Database
  clock: Clock
  vault: Vault
  streams: Streams
}
