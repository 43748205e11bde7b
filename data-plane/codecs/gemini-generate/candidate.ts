import { isMonstrous } from '../../json-members.ts'
import type { NeutralEvent, Thought, TokenLogprob } from '../neutral.ts'
import { toldReasons } from './reasons.ts'
import { tag } from './signatures.ts'

type Said = Exclude<NeutralEvent, { type: 'start' | 'usage' | 'foreign' }>

interface OpenCall {
  id: string
  name: string
  json: string
  /** The member with its signature, or nothing. */
  signed: string
}

/**
 * One candidate's parts, as JSON text, so that arguments stand as the model wrote them. A call is told whole, once something
 * else follows it. Reasoning is shown where the client asks; what signs it stands on the part behind it, as Gemini has it.
 */
export class Candidate {
  #parts: string[] = []
  readonly #calls = new Map<number, OpenCall>()
  #thought: Thought = emptyThought()
  #signed = ''
  #logprobs: TokenLogprob[] = []
  /** The members of the last part where more text of its kind can join it. */
  #joins: '' | ',"thought":true' | undefined
  #reason: string | undefined

  constructor(
    readonly index: number,
    readonly showsThoughts: boolean,
    readonly lost: Set<string>,
  ) {}

  read(event: Said): void {
    switch (event.type) {
      case 'thought':
        this.#closeCalls()
        if (this.#thought.text.length < heldMax) this.#thought.text += event.text
        if (this.showsThoughts) this.#join(event.text, ',"thought":true')
        break
      case 'signature':
        this.#closeCalls()
        this.#sign(event)
        break
      case 'text':
      case 'refusal':
        this.#closeCalls()
        this.#join(event.text, '', this.#takeSigned())
        if (event.type === 'text' && event.logprobs) this.#logprobs.push(...event.logprobs)
        break
      case 'toolCall':
        this.#open(event)
        break
      case 'arguments':
        this.#append(event)
        break
      case 'finish':
        this.#closeCalls(event.reason === 'length' || event.reason === 'context_full')
        this.#reason ??= toldReasons[event.reason]
        if (event.reason === 'pause') this.lost.add('pause')
    }
  }

  /** What there is to tell now; undefined where there is nothing. */
  take(): string | undefined {
    if (this.#parts.length === 0) return undefined
    return `{"content":{"parts":[${this.#takeParts()}],"role":"model"}${this.#takeLogprobs()},"index":${this.index}}`
  }

  /** The rest, and how it ends. */
  end(): string {
    this.#closeCalls()
    const signed = this.#takeSigned()
    if (signed) this.#push(`{"text":""${signed}}`)
    const reason = JSON.stringify(this.#reason ?? 'STOP')
    const told = `"finishReason":${reason}${this.#takeLogprobs()},"index":${this.index}`
    return `{"content":{"parts":[${this.#takeParts()}],"role":"model"},${told}}`
  }

  #takeParts(): string {
    this.#joins = undefined
    return this.#parts.splice(0).join(',')
  }

  /** Texts of one kind that are told at once are one part. */
  #join(text: string, members: '' | ',"thought":true', signed = ''): void {
    const letters = JSON.stringify(text).slice(1, -1)
    if (this.#joins === members && !signed) {
      const last = this.#parts.length - 1
      this.#parts[last] = `${this.#parts[last]!.slice(0, -members.length - 2)}${letters}"${members}}`
      return
    }
    this.#push(`{"text":"${letters}"${members}${signed}}`)
    this.#joins = signed ? undefined : members
  }

  #push(part: string): void {
    this.#parts.push(part)
    this.#joins = undefined
  }

  #sign({ signature, encrypted }: Extract<NeutralEvent, { type: 'signature' }>): void {
    // Two in a row: each stands on a part of its own.
    const before = this.#takeSigned()
    if (before) this.#push(`{"text":""${before}}`)
    const { text } = this.#thought
    this.#thought = emptyThought()
    const own = signature.from === 'GEMINI_GENERATE'
    this.#signed = own ? signature.value : tag({ type: 'thought', text, signature, encrypted })
  }

  #takeSigned(): string {
    const value = this.#signed
    this.#signed = ''
    return value && `,"thoughtSignature":${JSON.stringify(value)}`
  }

  #open({ call, id, name, signature }: Extract<NeutralEvent, { type: 'toolCall' }>): void {
    if (signature?.from === 'GEMINI_GENERATE') this.#signed ||= signature.value
    if (this.#calls.size < callsMax) this.#calls.set(call, { id, name, json: '', signed: this.#takeSigned() })
    else this.#lose(false)
  }

  #append({ call, json }: Extract<NeutralEvent, { type: 'arguments' }>): void {
    const open = this.#calls.get(call)
    // Arguments past the bound are no object any more, and are left out with the others that are none.
    if (open && open.json.length < heldMax) open.json += json
    else if (!open) this.#lose(false)
  }

  /** Arguments that were cut off are no object: the call is left out, and the reason says why. */
  #closeCalls(cut = false): void {
    if (this.#calls.size === 0) return
    for (const call of this.#calls.values()) {
      const args = objectText(call.json)
      if (args !== undefined) this.#push(callText(call, args))
      else this.#lose(cut)
    }
    this.#calls.clear()
  }

  #lose(cut: boolean): void {
    this.lost.add('functionCall')
    if (!cut) this.#reason = 'MALFORMED_FUNCTION_CALL'
  }

  #takeLogprobs(): string {
    const told = this.#logprobs.splice(0)
    if (told.length === 0) return ''
    const result = {
      chosenCandidates: told.map(logprobOf),
      topCandidates: told.map(({ top }) => ({ candidates: top.map(logprobOf) })),
    }
    return `,"logprobsResult":${JSON.stringify(result)}`
  }
}

/** Characters of one call's arguments, or of one thought, that wait for their end; and calls that do. */
const heldMax = 8 * 1024 * 1024
const callsMax = 1_000

const emptyThought = (): Thought => ({ type: 'thought', text: '', signature: null, encrypted: false })
const logprobOf = ({ token, logprob }: { token: string; logprob: number }) => ({ token, logProbability: logprob })

function callText({ id, name, signed }: OpenCall, args: string): string {
  return `{"functionCall":{"id":${JSON.stringify(id)},"name":${JSON.stringify(name)},"args":${args}}${signed}}`
}

/** Arguments as the model wrote them, on one line; undefined where they are no object. */
function objectText(json: string): string | undefined {
  if (json === '') return '{}'
  if (isMonstrous(json)) return undefined
  try {
    const value = JSON.parse(json)
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
    return /[\r\n]/.test(json) ? JSON.stringify(value) : json
  } catch {
    return undefined
  }
}
