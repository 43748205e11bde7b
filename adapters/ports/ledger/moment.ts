/** A moment, as the book is told it: the book itself looks at no clock. */
export interface Moment {
  /** Milliseconds that never go back: waits and rates go by them. */
  readonly atMs: number
  /** The control plane's clock as well as it is known here, Unix milliseconds: windows go by it. */
  readonly controlMs: number
  /** How far that may be off: money is not touched so long after its window's begin, nor so long before its end. */
  readonly marginMs: number
}
