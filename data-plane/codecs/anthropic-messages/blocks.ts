import type { Json } from '../json.ts'
import type { NeutralEvent } from '../neutral.ts'
import { tagSignature } from '../signatures.ts'

/** What is told of a block: that it starts, grows or stops. */
export type Piece = { index: number; start: Json } | { index: number; delta: Json } | { index: number }

type Content = Exclude<NeutralEvent, { type: 'start' | 'usage' | 'finish' | 'foreign' }>

interface Waiting {
  /** Of a call, its number; other blocks are never found again. */
  call: number
  start: Json
  deltas: Json[]
  /** What may still come belongs to a later block. */
  isOver: boolean
  isSigned: boolean
  json: JsonEnd | undefined
}

/**
 * Puts the blocks of a message in line: in this protocol one block ends before the next begins, but other protocols stream
 * parallel tool calls side by side. The first in line is told as it comes, the others wait, within bounds.
 */
export class BlockLine {
  /** More is waiting than is held; what follows is not told. */
  overflow = false
  readonly #waiting: Waiting[] = []
  #held = 0
  #index = 0
  #isOpen = false

  add(event: Content): void {
    if (event.type === 'arguments') this.#argue(event.call, event.json)
    else if (event.type === 'toolCall') this.#call(event)
    else if (event.type === 'signature') this.#sign(event)
    else this.#say(event.type === 'thought', event.text)
  }

  /** No more will come: all that waits has its turn. */
  finish(): void {
    for (const block of this.#waiting) this.#over(block)
  }

  /** What can be told now, in order. */
  release(): Piece[] {
    const pieces: Piece[] = []
    for (let block = this.#waiting[0]; block; block = this.#waiting[0]) {
      if (!this.#isOpen) pieces.push({ index: this.#index, start: block.start })
      this.#isOpen = true
      for (const delta of block.deltas.splice(0)) pieces.push({ index: this.#index, delta })
      const isNext = block.isOver || (block.json?.isWhole && this.#waiting.length > 1)
      if (!isNext) break
      pieces.push({ index: this.#index })
      this.#index++
      this.#isOpen = false
      this.#waiting.shift()
    }
    if (this.#waiting.length <= 1) this.#held = 0
    return pieces
  }

  #say(isThinking: boolean, text: string): void {
    const last = this.#waiting.at(-1)
    const type = isThinking ? 'thinking' : 'text'
    const fits = last && !last.isOver && last.start.type === type
    const block = fits ? last : this.#open(isThinking ? { type, thinking: '', signature: '' } : { type, text: '' })
    this.#grow(
      block,
      isThinking ? { type: 'thinking_delta', thinking: text } : { type: 'text_delta', text },
      text.length,
    )
  }

  #call({ call, id, name, signature }: Extract<Content, { type: 'toolCall' }>): void {
    if (signature) this.#whole({ type: 'redacted_thinking', data: tagSignature('call', signature) })
    this.#open({ type: 'tool_use', id, name, input: {} }, call)
  }

  #argue(call: number, json: string): void {
    const block = this.#waiting.find((waiting) => waiting.call === call)
    if (!block) return
    block.json?.push(json)
    this.#grow(block, { type: 'input_json_delta', partial_json: json }, json.length)
  }

  /** A signature closes the thought before it; the reasoning itself, encrypted, is a block of its own unless it was told too. */
  #sign({ signature, encrypted }: Extract<Content, { type: 'signature' }>): void {
    const isOwn = signature.from === 'ANTHROPIC_MESSAGES'
    const last = this.#waiting.at(-1)
    const thought = last && isThought(last) && !last.isOver ? last : undefined
    const value = isOwn ? signature.value : tagSignature(encrypted ? 'encrypted' : 'thought', signature)
    if (encrypted && (isOwn || !thought)) {
      this.#whole({ type: 'redacted_thinking', data: value })
      return
    }
    const block = thought ?? this.#open({ type: 'thinking', thinking: '', signature: '' })
    this.#grow(block, { type: 'signature_delta', signature: value }, value.length)
    block.isSigned = true
    this.#over(block)
  }

  #whole(start: Json): void {
    this.#over(this.#open(start))
  }

  #open(start: Json, call = -1): Waiting {
    const last = this.#waiting.at(-1)
    if (last && last.call < 0) this.#over(last)
    const json = call < 0 ? undefined : new JsonEnd()
    const waiting: Waiting = { call, start, deltas: [], isOver: false, isSigned: false, json }
    if (this.#waiting.length >= waitingMax) this.overflow = true
    else this.#waiting.push(waiting)
    return waiting
  }

  /** A thought that nobody signed says so, lest a provider be asked to check it. */
  #over(block: Waiting): void {
    if (isThought(block) && !block.isSigned)
      block.deltas.push({ type: 'signature_delta', signature: tagSignature('thought', null) })
    block.isSigned = true
    block.isOver = true
  }

  #grow(block: Waiting, delta: Json, length: number): void {
    if (block !== this.#waiting[0]) this.#held += length
    if (this.#held > heldMax) this.overflow = true
    else block.deltas.push(delta)
  }
}

const isThought = ({ start }: Waiting) => start.type === 'thinking'

/** Characters that wait for their turn, and blocks. */
const heldMax = 8 * 1024 * 1024
const waitingMax = 1_000

/** A block with a delta put in. */
export function blockWith(block: Json, delta: Json): Json {
  if (delta.type === 'text_delta') return { ...block, text: block.text + delta.text }
  if (delta.type === 'thinking_delta') return { ...block, thinking: block.thinking + delta.thinking }
  return { ...block, signature: delta.signature }
}

/** Follows a JSON object piece by piece, to see that it is whole. */
class JsonEnd {
  isWhole = false
  #depth = 0
  #inText = false
  #isEscaped = false

  push(json: string): void {
    for (let at = 0; at < json.length; at++) this.#read(json.charCodeAt(at))
  }

  #read(code: number): void {
    if (this.#isEscaped) this.#isEscaped = false
    else if (this.#inText && code === 92) this.#isEscaped = true
    else if (code === 34) this.#inText = !this.#inText
    else if (!this.#inText && (code === 123 || code === 91)) this.#depth++
    else if (!this.#inText && (code === 125 || code === 93)) this.isWhole = --this.#depth === 0
  }
}
