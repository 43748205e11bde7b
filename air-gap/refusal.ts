/** Why something that crosses a gap, or the link, is not taken. */
export type GapRefusalCode =
  | 'malformed'
  | 'too_large'
  | 'unsigned'
  | 'below_threshold'
  | 'wrong_type'
  | 'wrong_role'
  | 'wrong_audience'
  | 'wrong_tenant'
  | 'unknown_critical'
  | 'rolled_back'
  | 'forked'
  | 'expired'
  | 'not_yet_valid'
  | 'version_too_old'
  | 'wrong_digest'
  | 'missing_part'
  | 'unreadable_key'

/** An expected no: a code for programs and a sentence for the operator, without secrets. */
export interface GapRefusal {
  refused: GapRefusalCode
  sentence: string
}

export function refuseAtGap(refused: GapRefusalCode, sentence: string): GapRefusal {
  return { refused, sentence }
}

export function isGapRefusal(value: unknown): value is GapRefusal {
  return typeof value === 'object' && value !== null && 'refused' in value && 'sentence' in value
}
