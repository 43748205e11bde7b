/** Why a stream ended that could not go on; the message is for the subscriber. */
export class StreamEnded extends Error {
  constructor(
    readonly code: 'MALFORMED_CURSOR' | 'CURSOR_EXPIRED' | 'TOO_SLOW' | 'NOT_PERMITTED',
    message: string,
  ) {
    super(message)
    this.name = 'StreamEnded'
  }
}

export const beyondTheLog = () =>
  new StreamEnded(
    'MALFORMED_CURSOR',
    'after lies beyond the end of this log; read the present state and begin from its cursor.',
  )

export const tooOld = () =>
  new StreamEnded(
    'CURSOR_EXPIRED',
    'after is older than what is kept; read the present state and begin from its cursor.',
  )
