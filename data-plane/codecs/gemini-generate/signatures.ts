import { codecs } from '../../../schema/config/index.ts'
import { type Json, textOf } from '../json.ts'
import type { Signature, Thought } from '../neutral.ts'
import { camel } from './names.ts'

/**
 * What Gemini takes for a signature of a call that it did not make itself, as after a change of model (Gemini API, "Thought
 * signatures": questions and answers). Gemini 3 refuses a call of the current turn without any signature.
 */
export const unsignedCall = 'skip_thought_signature_validator'

/** Families before Gemini 3 do not ask for signatures, and are not known to take the one that stands for none. */
export function asksForSignatures(upstreamName: string): boolean {
  return !/\b(gemini-(1|2)\b|gemma)/.test(upstreamName)
}

/**
 * Reasoning of another protocol, told to a client of this one: it stands where Gemini's own signatures stand, on the part
 * behind it, in base64 as theirs are, since some clients decode it. Clients send it back untouched.
 */
export function tag({ text, signature, encrypted }: Thought): string {
  return Buffer.from(`${mark}${JSON.stringify({ ...signature, encrypted, text })}`).toString('base64')
}

/** A signature as a client sent it: the reasoning it stands for where it is one of ours, else Gemini's own. */
export function untag(value: string): Thought {
  const told = isTagged(value) ? readTag(value) : undefined
  return told ?? { type: 'thought', text: '', signature: { from: 'GEMINI_GENERATE', value }, encrypted: false }
}

const mark = 'sluice.'
/** The first six letters of the mark in base64, in either of its alphabets. */
const markInBase64 = 'c2x1aWNl'

export function isTagged(value: unknown): value is string {
  return typeof value === 'string' && value.startsWith(markInBase64)
}

function readTag(value: string): Thought | undefined {
  const text = Buffer.from(value, 'base64').toString()
  if (!text.startsWith(mark)) return undefined
  try {
    const told: Json = JSON.parse(text.slice(mark.length))
    const from = codecs.find((codec) => codec === told.from)
    const signature: Signature | null = from && typeof told.value === 'string' ? { from, value: told.value } : null
    return { type: 'thought', text: textOf(told.text), signature, encrypted: told.encrypted === true }
  } catch {
    return undefined
  }
}

/**
 * Contents without signatures of other protocols, for Gemini itself; undefined where there are none, which is nearly always,
 * and then the client's text stays as it is.
 */
export function untagContents(text: string, contents: unknown, upstreamName: string): Json[] | undefined {
  if (!text.includes(markInBase64) || !Array.isArray(contents)) return undefined
  let found = false
  const stripped = contents.map((content) => {
    if (!Array.isArray(content?.parts)) return content
    const parts = content.parts.map((part: Json) => {
      const own = camel(part)
      if (!isTagged(own.thoughtSignature)) return part
      found = true
      const { thoughtSignature: _, ...rest } = own
      return rest.functionCall && asksForSignatures(upstreamName) ? { ...rest, thoughtSignature: unsignedCall } : rest
    })
    return { ...content, parts }
  })
  return found ? stripped : undefined
}
