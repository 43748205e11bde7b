import type { Candidate } from './target.ts'

/** Candidates in the order they are tried, and what made it so: codes and figures, no names. */
export interface Order {
  readonly candidates: readonly Candidate[]
  readonly choice: string
}
