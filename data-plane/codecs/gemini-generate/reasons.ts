import type { FinishReason } from '../neutral.ts'

/** Why a candidate ended, where it ended well or was stopped (Gemini API reference, FinishReason). */
const reasons: Record<string, FinishReason> = {
  STOP: 'stop',
  MAX_TOKENS: 'length',
  SAFETY: 'content_filter',
  RECITATION: 'content_filter',
  LANGUAGE: 'content_filter',
  BLOCKLIST: 'content_filter',
  PROHIBITED_CONTENT: 'content_filter',
  SPII: 'content_filter',
  MODEL_ARMOR: 'content_filter',
  IMAGE_SAFETY: 'content_filter',
  IMAGE_PROHIBITED_CONTENT: 'content_filter',
  IMAGE_RECITATION: 'content_filter',
  CONTINUATION: 'pause',
}

/** Undefined for the reasons that say that something failed (`MALFORMED_FUNCTION_CALL`, `OTHER`, …). */
export function readReason(reason: string, calls: boolean): FinishReason | undefined {
  if (!Object.hasOwn(reasons, reason)) return undefined
  return reason === 'STOP' && calls ? 'tool_calls' : reasons[reason]
}

export const toldReasons: Record<FinishReason, string> = {
  stop: 'STOP',
  stop_sequence: 'STOP',
  tool_calls: 'STOP',
  length: 'MAX_TOKENS',
  context_full: 'MAX_TOKENS',
  content_filter: 'SAFETY',
  refusal: 'SAFETY',
  pause: 'OTHER',
}
