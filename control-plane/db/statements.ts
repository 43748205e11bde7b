const textsMax = 256
const charactersMax = 8_192

/**
 * Which statements are worth preparing. A statement with parameters costs two round trips unless its connection has prepared it;
 * a prepared one costs memory at the server, on each connection. So those that come again are prepared, a bounded number of them.
 */
export class RepeatedStatements {
  readonly #seenOnce = new Set<string>()
  readonly #repeated = new Set<string>()

  has(text: string): boolean {
    if (this.#repeated.has(text)) return true
    if (text.length > charactersMax || this.#repeated.size >= textsMax) return false
    if (this.#seenOnce.delete(text)) {
      this.#repeated.add(text)
      return true
    }
    if (this.#seenOnce.size >= textsMax) this.#seenOnce.clear()
    this.#seenOnce.add(text)
    return false
  }
}
