/** One record of a CSV text with the line that it begins on, or why reading cannot go on. */
export type CsvRecord = { line: number; cells: string[] } | { line: number; wrong: string }

export const csvBounds = { cellCharactersMax: 65_536, cellsMax: 2_000 }

/**
 * Records of a CSV text (RFC 4180), read as it comes: quotes, quotes within quotes, line breaks within quotes, LF or CRLF, a mark of
 * the byte order. Empty lines are left out. The separator is a comma, or what the first line has more of: semicolon or tab.
 */
export async function* csvRecords(chunks: AsyncIterable<string> | Iterable<string>): AsyncGenerator<CsvRecord, void> {
  const reader = new CsvReader()
  for await (const chunk of chunks) {
    yield* reader.take(chunk)
    if (reader.ended) return
  }
  yield* reader.end()
}

type Place = 'START' | 'PLAIN' | 'QUOTED' | 'QUOTE_IN_QUOTED'

class CsvReader {
  #separator: string | undefined
  #held = ''
  #begun = false
  #place: Place = 'START'
  #cell = ''
  #cells: string[] = []
  #line = 1
  #recordLine = 1
  #afterReturn = false
  ended = false

  #open(): string {
    const text = this.#held.replace(/^\uFEFF/, '')
    const [first = ''] = text.trimStart().split(/[\r\n]/, 1)
    const count = (separator: string) => first.split(separator).length
    this.#separator = [',', ';', '\t'].reduce((best, next) => (count(next) > count(best) ? next : best))
    this.#held = ''
    return text
  }

  /** The first line is kept until it is whole: it tells the separator. */
  *take(chunk: string): Generator<CsvRecord, void> {
    let text = chunk
    if (!this.#separator) {
      this.#held += chunk
      const tells = /[\r\n]/.test(this.#held.trimStart()) || this.#held.length > csvBounds.cellCharactersMax
      if (!tells) return
      text = this.#open()
    }
    yield* this.#read(text)
  }

  *end(): Generator<CsvRecord, void> {
    if (!this.#separator) yield* this.#read(this.#open())
    if (this.ended) return
    if (this.#place === 'QUOTED') {
      const wrong = 'a quote is opened here and never closed'
      yield { line: this.#recordLine, wrong }
    } else yield* this.#endRecord()
  }

  *#read(text: string): Generator<CsvRecord, void> {
    for (const character of text) {
      const wrong = this.#step(character)
      if (wrong) {
        this.ended = true
        yield { line: this.#line, wrong }
        return
      }
      const broke = character === '\n' || character === '\r'
      const isSecondHalf = character === '\n' && this.#afterReturn
      this.#afterReturn = character === '\r'
      if (!broke || isSecondHalf) continue
      if (this.#place !== 'QUOTED') yield* this.#endRecord()
      this.#line++
      if (this.#place === 'START' && this.#cells.length === 0) this.#recordLine = this.#line
    }
  }

  /** Takes one character into the cell; a sentence where it cannot stand there. */
  #step(character: string): string | undefined {
    if (this.#place === 'QUOTED') {
      if (character === '"') this.#place = 'QUOTE_IN_QUOTED'
      else this.#cell += character
      return this.#tooLong()
    }
    if (character === '\n' || character === '\r') return undefined
    if (character === this.#separator) return this.#endCell()
    if (character === '"') {
      if (this.#place === 'PLAIN') this.#cell += character
      else if (this.#place === 'QUOTE_IN_QUOTED') {
        this.#cell += character
        this.#place = 'QUOTED'
      } else this.#place = 'QUOTED'
      return undefined
    }
    if (this.#place === 'QUOTE_IN_QUOTED')
      return 'text stands behind a closing quote; a quote within quotes is written twice'
    this.#cell += character
    this.#place = 'PLAIN'
    return this.#tooLong()
  }

  #tooLong(): string | undefined {
    if (this.#cell.length <= csvBounds.cellCharactersMax) return undefined
    return `a cell has more than ${csvBounds.cellCharactersMax} characters; is a quote not closed?`
  }

  #endCell(): string | undefined {
    this.#cells.push(this.#cell)
    this.#cell = ''
    this.#place = 'START'
    this.#begun = true
    return this.#cells.length > csvBounds.cellsMax ? `a line has more than ${csvBounds.cellsMax} cells` : undefined
  }

  *#endRecord(): Generator<CsvRecord, void> {
    const isEmpty = !this.#begun && this.#place === 'START' && this.#cell === ''
    if (!isEmpty) {
      this.#endCell()
      yield { line: this.#recordLine, cells: this.#cells }
    }
    this.#cells = []
    this.#begun = false
    this.#place = 'START'
  }
}
